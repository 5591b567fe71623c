import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { Browser } from '../support/browser.ts';
import {
  answerAtOnce,
  authorizationRequest,
  exchangeCode,
  refresh,
  signIn,
  type AuthorizationRequest,
  type TokenAnswer,
} from '../support/flows.ts';

/** Something that may be used once: what its holder knows of its use, which an answer that never came leaves open. */
type Use = 'unused' | 'asked' | 'used';

interface Code {
  readonly request: AuthorizationRequest;
  readonly callback: URL;
  use: Use;
}

interface RefreshToken {
  readonly value: string;
  readonly clientId: string;
  use: Use;
}

/** A person with a browser, and everything that the server has acknowledged to them. */
export class Person {
  readonly email: string;
  readonly password: string;
  /** One for each device from which they have signed in; the server has answered each with a session. */
  readonly browsers: Browser[] = [];
  readonly codes: Code[] = [];
  /** One family each, the newest token last. */
  readonly families: RefreshToken[][] = [];
  isSigningUp = false;
  isSignedUp = false;
  readonly #issuer: string;

  constructor(issuer: string, name: string) {
    this.#issuer = issuer;
    this.email = `${name}@example.com`;
    this.password = `the long phrase of ${name}`;
  }

  /** Signs up, then keeps coming back to one app or the other, also from new devices, until it is over. */
  async keepBusy(isOver: () => boolean): Promise<void> {
    try {
      await this.#signUp();
      for (let turn = 1; !isOver(); turn += 1) {
        if (turn % 8 === 0) await this.#signIn();
        const code = await this.#authorize(turn % 2 === 0 ? 'demo-photos' : 'demo-notes');
        // Every third code is left for later.
        if (turn % 3 === 0) continue;
        const family = await this.#exchange(code);
        for (let turns = 0; turns < this.families.length % 3; turns += 1) await this.#refresh(family);
      }
    } catch (error) {
      // What is cut off when all is over says nothing; anything before is a fault.
      if (!isOver()) throw error;
    }
  }

  async #signUp(): Promise<void> {
    this.isSigningUp = true;
    const browser = new Browser();
    const request = this.#request('demo-notes');
    const callback = await signUp(browser, request, this);
    this.isSignedUp = true;
    this.browsers.push(browser);
    this.codes.push({ request, callback, use: 'unused' });
  }

  async #signIn(): Promise<void> {
    const browser = new Browser();
    const request = this.#request('demo-notes');
    const callback = await signIn(browser, request, this);
    this.browsers.push(browser);
    this.codes.push({ request, callback, use: 'unused' });
  }

  async #authorize(clientId: string): Promise<Code> {
    const request = this.#request(clientId, { prompt: 'none' });
    const answer = await answerAtOnce(this.browsers.at(-1) ?? new Browser(), request);
    assert.ok('code' in answer, JSON.stringify(answer));
    const callback = new URL(`${request.redirectUri}?${new URLSearchParams(answer).toString()}`);
    const code: Code = { request, callback, use: 'unused' };
    this.codes.push(code);
    return code;
  }

  #request(clientId: string, parameters: Record<string, string> = {}): AuthorizationRequest {
    return authorizationRequest(this.#issuer, clientId, parameters);
  }

  async #exchange(code: Code): Promise<RefreshToken[]> {
    code.use = 'asked';
    const { status, body } = await exchangeCode(this.#issuer, code.request, code.callback);
    assert.equal(status, 200, JSON.stringify(body));
    code.use = 'used';
    const family: RefreshToken[] = [refreshToken(body, code.request)];
    this.families.push(family);
    return family;
  }

  async #refresh(family: RefreshToken[]): Promise<void> {
    const token = family.at(-1);
    assert.ok(token !== undefined);
    token.use = 'asked';
    const { status, body } = await this.#ask(token.value, token.clientId);
    assert.equal(status, 200, JSON.stringify(body));
    token.use = 'used';
    family.push(refreshToken(body, token));
  }

  /**
   * Checks all that was acknowledged: what must work first, since showing a used code or token again ends its family.
   * @returns a line for each promise that was broken
   */
  async checkPromises(): Promise<string[]> {
    const broken: string[] = [];
    const expect = (holds: boolean, promise: string): void => {
      if (!holds) broken.push(`${this.email}: ${promise}`);
    };
    // First, since an answer that was cut off is kept for a time only.
    for (const family of this.families) await this.#goOn(family, expect);
    await this.#checkPerson(expect);
    for (const code of this.codes.filter(isUnused)) expect(await this.#works(code), 'a code works');
    // From here on families end, as they must when what was used is shown again.
    for (const code of this.codes.filter(({ use }) => use === 'asked')) {
      const both = [await this.#works(code), await this.#works(code)];
      expect(!both.every(Boolean), 'a code that may have been used works once at most');
    }
    for (const once of [...this.families.flat(), ...this.codes]) {
      expect(!(await this.#works(once)), `what was used does not work again (${once.use} at the crash)`);
    }
    return broken;
  }

  /** The newest token of a family works, also if it was asked with and no answer came; then its successor does. */
  async #goOn(family: readonly RefreshToken[], expect: (holds: boolean, promise: string) => void): Promise<void> {
    const newest = family.at(-1);
    assert.ok(newest !== undefined);
    const answers = [await this.#ask(newest.value, newest.clientId), await this.#ask(newest.value, newest.clientId)];
    const [first, again] = answers;
    expect(first?.status === 200, `a family goes on (${newest.use} at the crash)`);
    expect(isDeepStrictEqual(first?.body, again?.body), 'a refresh that is repeated gets the same answer');
    const next = await this.#ask(String(first?.body['refresh_token']), newest.clientId);
    expect(next.status === 200, 'what a refresh gave works');
  }

  async #checkPerson(expect: (holds: boolean, promise: string) => void): Promise<void> {
    if (this.isSignedUp) {
      for (const browser of this.browsers) {
        const answer = await answerAtOnce(browser, this.#request('demo-notes', { prompt: 'none' }));
        expect('code' in answer, 'a session goes on');
      }
      expect(await this.#canSignIn(), 'the account and its password are there');
    } else if (this.isSigningUp) {
      expect((await this.#canSignIn()) || (await this.#canSignUp()), 'the address can be signed up with again');
    }
  }

  /** How much of what is checked there was, for the tests to see that it was something. */
  counts(): { sessions: number; codes: number; refreshTokens: number; open: number } {
    const tokens = this.families.flat();
    return {
      sessions: this.browsers.length,
      codes: this.codes.length,
      refreshTokens: tokens.length,
      open: [...this.codes, ...tokens].filter(({ use }) => use === 'asked').length,
    };
  }

  async #works(once: Code | RefreshToken): Promise<boolean> {
    const answer =
      'callback' in once
        ? await exchangeCode(this.#issuer, once.request, once.callback)
        : await this.#ask(once.value, once.clientId);
    return answer.status === 200;
  }

  #ask(token: string, clientId: string): Promise<TokenAnswer> {
    return refresh(this.#issuer, token, { client_id: clientId });
  }

  #canSignIn(): Promise<boolean> {
    return succeeds(signIn(new Browser(), this.#request('demo-notes'), this));
  }

  #canSignUp(): Promise<boolean> {
    return succeeds(signUp(new Browser(), this.#request('demo-notes'), this));
  }
}

function succeeds(attempt: Promise<unknown>): Promise<boolean> {
  return attempt.then(
    () => true,
    () => false,
  );
}

async function signUp(
  browser: Browser,
  request: AuthorizationRequest,
  { email, password }: { email: string; password: string },
): Promise<URL> {
  const page = await browser.visit(request.url);
  const link = /href="([^"]*\/sign-up)"/.exec(page.html)?.[1] ?? '';
  const form = await browser.visit(new URL(link, page.url).href);
  const { url } = await browser.submit(form, { name: 'Person', email, password }, request.redirectUri);
  assert.ok(url.startsWith(request.redirectUri), url);
  return new URL(url);
}

function refreshToken(body: Record<string, unknown>, { clientId }: { clientId: string }): RefreshToken {
  return { value: String(body['refresh_token']), clientId, use: 'unused' };
}

function isUnused({ use }: { use: Use }): boolean {
  return use === 'unused';
}

/** Has people use the server up to some moment, and has something happen to it then. */
export async function load(
  people: readonly Person[],
  until: Promise<unknown>,
  event?: () => Promise<unknown>,
): Promise<void> {
  let isOver = false;
  const busy = Promise.all(people.map((person) => person.keepBusy(() => isOver)));
  await Promise.race([until, busy]);
  isOver = true;
  await event?.();
  await busy;
}
