import assert from 'node:assert/strict';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, exchangeCode, refresh, signIn, tokenRequest } from '../support/flows.ts';

const MACHINE = 'demo-service:demo-service-secret';

/** Uses a server whose store has a fault, and knows what it has acknowledged. */
export class AcknowledgedUse {
  readonly #issuer: string;
  readonly #browser = new Browser();
  /** Access tokens that were revoked. */
  readonly #revoked: string[] = [];
  /** Refresh tokens that nobody has used. */
  readonly #held: string[] = [];
  /** Requests that were answered with 503. */
  refused = 0;

  private constructor(issuer: string) {
    this.#issuer = issuer;
  }

  /** With a person who is signed in. */
  static async begin(issuer: string): Promise<AcknowledgedUse> {
    const use = new AcknowledgedUse(issuer);
    const request = authorizationRequest(issuer, 'demo-notes', { scope: 'openid offline_access', prompt: 'consent' });
    await signIn(use.#browser, request);
    return use;
  }

  get acknowledged(): number {
    return this.#revoked.length + this.#held.length;
  }

  /** Issues and revokes a token of a machine, and gets a refresh token, as far as the server acknowledges it. */
  async next(): Promise<void> {
    const [token, held] = await Promise.all([this.#machineToken(), this.#refreshToken()]);
    if (held !== undefined) this.#held.push(held);
    if (token !== undefined && this.#isDone(await this.#ask('/revoke', token))) this.#revoked.push(token);
  }

  /** @throws AssertionError where something that was acknowledged is not so any more */
  async assertKept(): Promise<void> {
    for (const token of this.#revoked) {
      const { active } = (await (await this.#ask('/introspect', token, 'demo-web:demo-web-secret')).json()) as {
        active: boolean;
      };
      assert.equal(active, false, 'a token that was revoked');
    }
    for (const token of this.#held)
      assert.equal((await refresh(this.#issuer, token)).status, 200, 'a token that was held');
  }

  async #machineToken(): Promise<string | undefined> {
    const answer = await tokenRequest(this.#issuer, { grant_type: 'client_credentials', scope: 'notes:read' }, MACHINE);
    return this.#isDone(answer) ? String(answer.body['access_token']) : undefined;
  }

  async #refreshToken(): Promise<string | undefined> {
    const request = authorizationRequest(this.#issuer, 'demo-notes', {
      ...{ scope: 'openid offline_access', prompt: 'none' },
    });
    const page = await this.#browser.visit(request.url, {}, request.redirectUri);
    if (!page.url.startsWith(request.redirectUri)) {
      this.refused += 1;
      return undefined;
    }
    const callback = new URL(page.url);
    if (!callback.searchParams.has('code')) {
      this.refused += 1;
      return undefined;
    }
    const answer = await exchangeCode(this.#issuer, request, callback);
    return this.#isDone(answer) ? String(answer.body['refresh_token']) : undefined;
  }

  #ask(path: string, token: string, client = MACHINE): Promise<Response> {
    return fetch(this.#issuer + path, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(client)}` },
      body: new URLSearchParams({ token }),
    });
  }

  /** Nothing but an acknowledgement and a refusal for the time being is right. */
  #isDone({ status }: { status: number }): boolean {
    if (status === 503) this.refused += 1;
    else assert.equal(status, 200);
    return status === 200;
  }
}
