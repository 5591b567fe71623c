import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { LoadBalancer } from '../durability/load-balancer.ts';
import { Browser } from '../support/browser.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  signIn,
  tokenRequest,
  type AuthorizationRequest,
} from '../support/flows.ts';

/** The issuer, whose TLS a load balancer ends. */
export const ISSUER = 'https://login.example.com';
export const CALLBACK = 'https://shop.example.com/callback';
export const PASSWORD = 'a long phrase of the people here';
export const SECRET = 'the-secret-of-the-shop-of-these-people';
const SHOP = `shop:${SECRET}`;
const SCOPE = 'openid profile email';
/** Milliseconds between two requests of one person. */
const PAUSE = 50;
/** Milliseconds within which every node knows of a revocation. */
const TOLD = 2500;

/** An address at which nodes are reached, one after the other. */
export class Front {
  readonly balancer = new LoadBalancer({ host: new URL(ISSUER).host, 'x-forwarded-proto': 'https' });
  readonly url: string;

  constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }
}

/** A browser to which the issuer is reached through a front. Its cookies are those for the issuer. */
class BrowserBehind extends Browser {
  front: Front;

  constructor(front: Front, headers: Record<string, string>) {
    super(headers);
    this.front = front;
  }

  override request(url: string, init: RequestInit = {}): Promise<Response> {
    return super.request(url.replace(ISSUER, this.front.url), init);
  }
}

interface Tokens {
  access: string;
  refresh: string;
  /** The number of the grant, which ends with all its tokens if a refresh token is revoked. */
  grant: number;
}

/** How much of what was ended is looked at again in later stages: the latest. */
const REMEMBERED = 8;

/** A person with one browser and the shop's tokens, who remembers all that was acknowledged. */
export class Customer {
  /** What went wrong, in words. */
  readonly faults: string[] = [];
  /** How often a sign-in had to begin again. */
  restarts = 0;
  readonly done = { signIns: 0, codes: 0, refreshes: 0, revocations: 0, introspections: 0, signOuts: 0 };
  readonly #email: string;
  readonly #address: string;
  #front: Front;
  #browser: BrowserBehind;
  #idToken = '';
  #grant = 0;
  #tokens: Tokens[] = [];
  readonly #revoked: Tokens[] = [];
  readonly #endedSessions: BrowserBehind['cookies'][] = [];

  constructor(front: Front, at: number) {
    this.#email = `person-${at}@example.com`;
    this.#address = `203.0.113.${at + 1}`;
    this.#front = front;
    this.#browser = this.#newBrowser();
  }

  /** Goes through all that a person and the shop do, again and again. */
  async keepBusy(isOver: () => boolean): Promise<void> {
    for (let round = 0; !isOver(); round += 1) {
      await this.#attempt('signs in silently', () => this.#getTokens());
      for (let count = 0; count < 3 && !isOver(); count += 1) {
        await this.#attempt('refreshes', () => this.#refreshFirst());
        await this.#attempt('introspects', () => this.#introspectFirst());
        await sleep(PAUSE);
      }
      if (this.#tokens.length > 1 && round % 2 === 1) await this.#attempt('revokes', () => this.#revokeOne());
      if (round % 5 === 4) await this.#attempt('signs out', () => this.#signOut());
    }
  }

  /** Looks at each front that everything acknowledged counts there, and that what was ended stays so. */
  async verifyAt(fronts: readonly Front[]): Promise<void> {
    await sleep(TOLD);
    for (const front of fronts) {
      this.#front = front;
      this.#browser.front = front;
      if (this.#idToken !== '') await this.#attempt('still has a session', () => this.#getTokens(front));
      for (const [at, tokens] of this.#tokens.entries()) {
        await this.#attempt('still has an access token', () => this.#introspect(tokens.access, true));
        await this.#attempt('still has a refresh token', async () => (this.#tokens[at] = await this.#refresh(tokens)));
      }
      for (const { access, refresh } of this.#revoked) {
        await this.#attempt('has lost the access token', () => this.#introspect(access, false));
        await this.#attempt('has lost the refresh token', () => this.#refuseRefresh(refresh));
      }
      for (const cookies of this.#endedSessions)
        await this.#attempt('is signed out', () => this.#refuseSession(cookies));
    }
    for (const ended of [this.#revoked, this.#endedSessions]) ended.splice(0, ended.length - REMEMBERED);
  }

  returnTo(front: Front): void {
    this.#front = front;
    this.#browser.front = front;
  }

  #newBrowser(): BrowserBehind {
    return new BrowserBehind(this.#front, { 'x-forwarded-for': this.#address });
  }

  async #attempt(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.faults.push(
        `${this.#email} ${what}: ${error instanceof Error ? error.message.slice(0, 2500) : String(error)}`,
      );
    }
  }

  #request(parameters: Record<string, string> = {}) {
    return authorizationRequest(ISSUER, 'shop', { redirect_uri: CALLBACK, scope: SCOPE, ...parameters });
  }

  /** By the session, or with the password if there is none. */
  async #getTokens(front = this.#front): Promise<void> {
    const hasSession = this.#idToken !== '';
    const request = this.#request(hasSession ? { prompt: 'none' } : {});
    let callback: URL;
    if (hasSession) {
      const answer = await answerAtOnce(this.#browser, request);
      assert.ok('code' in answer, JSON.stringify(answer));
      callback = new URL(`${CALLBACK}?${new URLSearchParams(answer).toString()}`);
    } else {
      callback = await this.#signIn(request);
      this.done.signIns += 1;
    }
    const answer = await exchangeCode(front.url, request, callback, SHOP);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    this.#tokens.push(tokensIn(answer.body, this.#grant));
    this.#idToken = String(answer.body['id_token']);
    this.done.codes += 1;
  }

  /** A sign-in that is under way does not move to a node of another version, and begins again. */
  async #signIn(request: AuthorizationRequest): Promise<URL> {
    const person = { email: this.#email, password: PASSWORD, remember: 'yes' as const };
    return signIn(this.#browser, request, person).catch((error: unknown) => {
      if (!/This sign-in has ended|request has expired/.test(String(error))) throw error;
      this.restarts += 1;
      return signIn(this.#browser, request, person);
    });
  }

  async #refreshFirst(): Promise<void> {
    const [first] = this.#tokens;
    if (first === undefined) return;
    this.#tokens[0] = await this.#refresh(first);
    this.done.refreshes += 1;
  }

  async #refresh(tokens: Tokens): Promise<Tokens> {
    const parameters = { grant_type: 'refresh_token', refresh_token: tokens.refresh };
    const { status, body } = await tokenRequest(this.#front.url, parameters, SHOP);
    assert.equal(status, 200, JSON.stringify(body));
    return tokensIn(body, tokens.grant);
  }

  async #refuseRefresh(token: string): Promise<void> {
    const { status } = await tokenRequest(this.#front.url, { grant_type: 'refresh_token', refresh_token: token }, SHOP);
    assert.equal(status, 400);
  }

  async #introspectFirst(): Promise<void> {
    const [first] = this.#tokens;
    if (first === undefined) return;
    await this.#introspect(first.access, true);
    this.done.introspections += 1;
  }

  async #introspect(token: string, isActive: boolean): Promise<void> {
    const answer = await this.#post('/introspect', { token });
    const body = (await answer.json()) as { active?: boolean };
    assert.deepEqual([answer.status, body.active], [200, isActive]);
  }

  /** Revokes a refresh token, and with it the grant. */
  async #revokeOne(): Promise<void> {
    const one = this.#tokens[this.done.revocations % this.#tokens.length];
    if (one === undefined) return;
    const { status } = await this.#post('/revoke', { token: one.refresh });
    assert.equal(status, 200);
    this.#revoked.push(...this.#tokens.filter(({ grant }) => grant === one.grant));
    this.#tokens = this.#tokens.filter(({ grant }) => grant !== one.grant);
    if (one.grant === this.#grant) this.#grant += 1;
    this.done.revocations += 1;
  }

  async #signOut(): Promise<void> {
    const cookies = new Map(this.#browser.cookies);
    const page = await this.#browser.visit(`${ISSUER}/logout?id_token_hint=${this.#idToken}`);
    assert.match(page.html, /signed out/i);
    this.#endedSessions.push(cookies);
    this.#idToken = '';
    this.#revoked.push(...this.#tokens.splice(0));
    this.#grant += 1;
    this.#browser = this.#newBrowser();
    this.done.signOuts += 1;
  }

  async #refuseSession(cookies: BrowserBehind['cookies']): Promise<void> {
    const browser = this.#newBrowser();
    for (const [name, cookie] of cookies) browser.cookies.set(name, cookie);
    const answer = await answerAtOnce(browser, this.#request({ prompt: 'none' }));
    assert.equal(answer['error'], 'login_required');
  }

  #post(path: string, parameters: Record<string, string>): Promise<Response> {
    return fetch(`${this.#front.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(SHOP).toString('base64')}` },
      body: new URLSearchParams(parameters),
    });
  }
}

function tokensIn(body: Record<string, unknown>, grant: number): Tokens {
  return { access: String(body['access_token']), refresh: String(body['refresh_token']), grant };
}
