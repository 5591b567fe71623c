import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  tokenRequest,
  type AuthorizationRequest,
  type TokenAnswer,
} from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import type { IssuedToken } from './readers.ts';
import type { TwoNodes } from './two-nodes.ts';

const CLIENT = 'demo-notes';

/** An app on a connection of its own, with a person who is signed in: gets tokens in each way in turn, of each node in turn. */
export class BusyApp {
  requests = 0;
  #turn = 0;
  #refreshToken = '';
  readonly #issuer: string;
  readonly #urls: readonly string[];
  readonly #browser = new Browser();

  private constructor({ place, nodes }: TwoNodes) {
    this.#issuer = place.issuer;
    this.#urls = nodes.map(({ url }) => url);
  }

  static async signedIn(server: TwoNodes): Promise<BusyApp> {
    const app = new BusyApp(server);
    const request = app.#request({ scope: 'openid offline_access notes:read', prompt: 'consent' });
    const callback = await signIn(app.#browser, request);
    app.#tokens(await exchangeCode(app.#node(1), request, callback));
    return app;
  }

  /** @throws AssertionError where the server does not answer with tokens */
  next(): Promise<IssuedToken[]> {
    this.#turn += 1;
    if (this.#turn % 3 === 0) return this.#machineToken();
    return this.#turn % 3 === 1 ? this.#refreshed() : this.#exchanged();
  }

  async #machineToken(): Promise<IssuedToken[]> {
    const parameters = { grant_type: 'client_credentials', scope: 'notes:read' };
    return this.#tokens(await tokenRequest(this.#node(), parameters, 'demo-service:demo-service-secret'));
  }

  async #refreshed(): Promise<IssuedToken[]> {
    return this.#tokens(await refresh(this.#node(), this.#refreshToken));
  }

  /** A code of one node, exchanged at the other. */
  async #exchanged(): Promise<IssuedToken[]> {
    const request = this.#request({ scope: 'openid notes:read', prompt: 'none' });
    const answer = await answerAtOnce(this.#browser, request);
    this.requests += 1;
    const callback = new URL(`${request.redirectUri}?${new URLSearchParams(answer).toString()}`);
    return this.#tokens(await exchangeCode(this.#node(1), request, callback));
  }

  #request(parameters: Record<string, string>): AuthorizationRequest {
    const request = authorizationRequest(this.#issuer, CLIENT, parameters);
    return { ...request, url: request.url.replace(this.#issuer, this.#node()) };
  }

  #node(after = 0): string {
    return this.#urls[(this.#turn + after) % this.#urls.length] ?? '';
  }

  #tokens({ status, body }: TokenAnswer): IssuedToken[] {
    this.requests += 1;
    assert.equal(status, 200, JSON.stringify(body));
    if ('refresh_token' in body) this.#refreshToken = String(body['refresh_token']);
    const tokens = [{ jwt: String(body['access_token']), audience: apiOf(this.#issuer) }];
    return 'id_token' in body ? [...tokens, { jwt: String(body['id_token']), audience: CLIENT }] : tokens;
  }
}
