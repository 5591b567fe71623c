import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomUUID, sign, type KeyObject } from 'node:crypto';
import type { Browser } from '../support/browser.ts';
import { authorizationRequest, signIn } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import type { RawConnection } from './raw-connection.ts';

/** For one refresh. Every third answer is lost. */
const TRIES = 200;

/** An app of the demo, as one of its installations: public, or with a secret. */
export interface Kind {
  clientId: 'demo-notes' | 'demo-photos' | 'demo-web';
  /** Whether it proves to hold a key. */
  hasKey: boolean;
}

const SECRETS: Record<string, string> = { 'demo-web': 'demo-web-secret' };

/** An app with a family of refresh tokens, which asks again whenever an answer is lost. */
export class RefreshingApp {
  /** How often it has refreshed. */
  refreshes = 0;
  refreshToken = '';
  /** The longest that one took with all its tries, in milliseconds. */
  longest = 0;
  /** What the server said when it refused to go on. */
  refusal: string | undefined;
  readonly #issuer: string;
  readonly #clientId: string;
  readonly #key: KeyObject | undefined;

  private constructor(issuer: string, { clientId, hasKey }: Kind) {
    this.#issuer = issuer;
    this.#clientId = clientId;
    this.#key = hasKey ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : undefined;
  }

  /** Gets its first token, for a person who is signed in. Without an ID token, since signing is not what is tried here. */
  static async begin(issuer: string, kind: Kind, browser: Browser, connection: RawConnection): Promise<RefreshingApp> {
    const app = new RefreshingApp(issuer, kind);
    const wish = { scope: 'notes:read', resource: apiOf(issuer), nonce: '' };
    const request = authorizationRequest(issuer, kind.clientId, wish);
    const callback = await signIn(browser, request);
    const code = callback.searchParams.get('code') ?? '';
    const exchange = { grant_type: 'authorization_code', code, redirect_uri: request.redirectUri };
    const answer = await connection.ask(app.#request({ ...exchange, code_verifier: request.verifier }));
    assert.equal(answer?.status, 200, answer?.body);
    app.refreshToken = tokenIn(answer.body);
    return app;
  }

  /** Refreshes once, however often it takes to hear of it. */
  async refresh(connection: RawConnection): Promise<void> {
    const parameters = { grant_type: 'refresh_token', refresh_token: this.refreshToken };
    const began = performance.now();
    let answer = await connection.ask(this.#request(parameters));
    // Nothing came, or the store was busy: neither says whether it was done.
    for (let tries = 0; answer === undefined || answer.status >= 500; tries += 1) {
      assert.ok(tries < TRIES, 'no refresh comes through');
      answer = await connection.ask(this.#request(parameters));
    }
    const took = performance.now() - began;
    this.longest = Math.max(this.longest, took);
    if (answer.status !== 200) {
      this.refusal = `${this.#clientId} after ${Math.round(took)} ms: ${answer.status} ${answer.body}`;
      return;
    }
    this.refreshes += 1;
    this.refreshToken = tokenIn(answer.body);
  }

  #request(parameters: Record<string, string>): string {
    const secret = SECRETS[this.#clientId];
    const all = secret === undefined ? { client_id: this.#clientId, ...parameters } : parameters;
    const body = new URLSearchParams(all).toString();
    const basic = Buffer.from(`${this.#clientId}:${secret ?? ''}`).toString('base64');
    return [
      'POST /token HTTP/1.1',
      `host: ${new URL(this.#issuer).host}`,
      'content-type: application/x-www-form-urlencoded',
      `content-length: ${body.length}`,
      ...(secret === undefined ? [] : [`authorization: Basic ${basic}`]),
      ...(this.#key === undefined ? [] : [`dpop: ${proof(this.#key, `${this.#issuer}/token`)}`]),
      '',
      body,
    ].join('\r\n');
  }
}

function tokenIn(body: string): string {
  return (JSON.parse(body) as { refresh_token: string }).refresh_token;
}

/** By hand, since it is made tens of thousands of times (RFC 9449 §4.2). */
function proof(key: KeyObject, htu: string): string {
  const jwk = createPublicKey(key).export({ format: 'jwk' });
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk };
  const claims = { htm: 'POST', htu, jti: randomUUID(), iat: Math.floor(Date.now() / 1000) };
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}
