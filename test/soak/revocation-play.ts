import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Config } from '../../src/config/schema.ts';
import { RING_CHANNEL } from '../../src/keys/ring-record.ts';
import { ACCESS_TOKEN, EXCHANGE } from '../grants/exchange-setup.ts';
import { secretOf, Stage, type SignedIn } from '../revocation/stage.ts';
import { TTL, type RevocationSetup } from '../revocation/two-nodes.ts';
import { travel } from '../support/clock.ts';
import { refresh, tokenRequest, type TokenAnswer } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import { Model, type Family, type Issued, type Step } from './revocation-model.ts';
import { until } from '../support/until.ts';

/** Who takes part. */
export const CAST = 'model';
/** What a busy machine may add, in milliseconds. */
const BUSY = 1000;
/** For how long an API may know nothing after a node was started again or time was moved, in milliseconds. */
const RECOVERY = 5000;
/** Tokens that are about to expire, in milliseconds, as clocks may differ. */
const ABOUT = 10_000;

/** Keys turn within what the steps travel. */
export function withShortKeys(config: Config): Config {
  return { ...config, keys: { ...config.keys, announce: 300, jwks_max_age: 60, clock_skew: 5 } };
}

interface SignIn {
  readonly family: Family;
  readonly signedIn: SignedIn;
  /** Every refresh token of the family, the newest last. */
  readonly refreshTokens: string[];
}

/** One sequence, done to the server and to the model at once. */
export class RevocationPlay {
  /** How many answers were compared. */
  answers = 0;
  readonly #setup: RevocationSetup;
  readonly #stage: Stage;
  readonly #model = new Model();
  readonly #signIns: SignIn[] = [];
  readonly #accounts = new Map<number, string>();
  #disturbedAt = -Infinity;

  constructor(setup: RevocationSetup) {
    this.#setup = setup;
    this.#stage = new Stage(setup, CAST);
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#take(step);
    await this.#check();
  }

  #take(step: Step): Promise<unknown> {
    switch (step.do) {
      case 'sign in':
        return this.#signIn(step);
      case 'machine token':
        return this.#machineToken(step.node);
      case 'refresh':
      case 'replay':
      case 'give back the refresh token':
      case 'sign out':
        return this.#toSignIn(step);
      case 'exchange':
      case 'give back the access token':
        return this.#toToken(step);
      case 'restart':
        return this.#disturb(() => this.#setup.restart(step.node));
      case 'travel':
        return this.#disturb(() => this.#travel(step.seconds));
      case 'rotate keys':
        return this.#setup.command('keys', 'rotate');
      case 'check':
        return this.#check();
      default:
        return this.#end(step);
    }
  }

  async #signIn({ person, app, isOffline, node }: Extract<Step, { do: 'sign in' }>): Promise<void> {
    const stage = this.#stage;
    const signedIn = await stage.signIn({
      ...{
        app: [stage.app, stage.otherApp][app] ?? '',
        person: [stage.person, stage.otherPerson][person] ?? stage.person,
      },
      ...{ offline: isOffline, at: node },
    });
    const family: Family = { person, app: signedIn.app, isOffline, isOver: false };
    this.#model.families.push(family);
    this.#signIns.push({ family, signedIn, refreshTokens: [signedIn.tokens['refresh_token'] ?? ''] });
    this.#accounts.set(person, this.#note(signedIn.tokens['access_token'], family.app, family).sub ?? '');
  }

  async #machineToken(node: 0 | 1): Promise<void> {
    const { machine } = this.#stage;
    const { token } = await this.#at(node, () => this.#stage.machineToken());
    this.#note(token, machine);
  }

  async #toSignIn(step: Extract<Step, { do: 'refresh' | 'replay' | 'give back the refresh token' | 'sign out' }>) {
    const signIn = this.#signIns[step.of % this.#signIns.length];
    if (signIn === undefined) return;
    const { family, refreshTokens, signedIn } = signIn;
    const latest = refreshTokens.at(-1) ?? '';
    const isThis = (other: Family): boolean => other === family;
    switch (step.do) {
      case 'refresh': {
        const body = await this.#answered(step.node, !family.isOver, () => this.#refresh(family, latest));
        if (body === undefined) return;
        refreshTokens.push(body['refresh_token'] ?? '');
        this.#note(body['access_token'], family.app, family);
        return;
      }
      case 'replay': {
        // Its successor has been used, so no window is open for it.
        const old = refreshTokens.at(-3);
        if (old === undefined) return;
        await this.#answered(step.node, false, () => this.#refresh(family, old));
        this.#model.endFamilies(isThis);
        return;
      }
      case 'give back the refresh token':
        await this.#at(step.node, () => this.#stage.revokeToken(latest, family.app));
        this.#model.endFamilies(isThis);
        return;
      case 'sign out': {
        const hint = signedIn.tokens['id_token'] ?? '';
        await this.#at(step.node, () => signedIn.browser.visit(`${this.#setup.issuer}/logout?id_token_hint=${hint}`));
        if (!family.isOffline) this.#model.endFamilies(isThis);
      }
    }
  }

  async #toToken(step: Extract<Step, { do: 'exchange' | 'give back the access token' }>): Promise<void> {
    const { machine } = this.#stage;
    const tokens = this.#model.issued.filter(({ client }) => step.do !== 'exchange' || client !== machine);
    const token = tokens[step.of % tokens.length];
    if (token === undefined) return;
    if (step.do === 'give back the access token') {
      await this.#at(step.node, () => this.#revokeAccessToken(token));
      this.#model.end(token);
      return;
    }
    const left = token.expiresAt - Date.now();
    if (Math.abs(left) < ABOUT) return;
    const body = await this.#answered(step.node, token.overAt === undefined && left > 0, () => this.#exchange(token));
    if (body !== undefined) this.#note(body['access_token'], machine, token.family);
  }

  async #end(step: Extract<Step, { do: 'withdraw consent' | 'end account' | 'end client' | 'end everything' }>) {
    const { operations } = this.#setup;
    const { app, otherApp, machine } = this.#stage;
    switch (step.do) {
      case 'withdraw consent': {
        const [account, client] = [this.#accounts.get(step.person), [app, otherApp][step.app] ?? ''];
        if (account === undefined) return;
        await operations.withdrawConsent(account, client);
        this.#model.endFamilies((family) => family.person === step.person && family.app === client);
        return;
      }
      case 'end account': {
        const account = this.#accounts.get(step.person);
        if (account === undefined) return;
        await operations.endBefore({ account });
        this.#model.endFamilies(({ person }) => person === step.person);
        return;
      }
      case 'end client': {
        const client = [app, otherApp, machine][step.client] ?? '';
        await operations.endBefore({ client });
        this.#model.endClient(client);
        return;
      }
      case 'end everything':
        await operations.endBefore('everybody');
        this.#model.endEverything();
    }
  }

  /** Timers do not notice that time was moved, so the nodes are told to look at their keys. */
  async #travel(seconds: number): Promise<void> {
    travel(seconds);
    await this.#setup.stores.records.publish(RING_CHANNEL, '');
  }

  async #disturb(work: () => Promise<void>): Promise<void> {
    await work();
    this.#disturbedAt = performance.now();
  }

  #refresh({ app }: Family, token: string): Promise<TokenAnswer> {
    return refresh(this.#setup.issuer, token, { client_id: app });
  }

  #exchange({ jwt }: Issued): Promise<TokenAnswer> {
    const { issuer } = this.#setup;
    const { machine } = this.#stage;
    const request = {
      grant_type: EXCHANGE,
      subject_token: jwt,
      subject_token_type: ACCESS_TOKEN,
      resource: apiOf(issuer),
    };
    return tokenRequest(issuer, request, `${machine}:${secretOf(machine)}`);
  }

  async #revokeAccessToken({ jwt, client }: Issued): Promise<void> {
    const { machine } = this.#stage;
    if (client !== machine) return this.#stage.revokeToken(jwt, client);
    const response = await fetch(`${this.#setup.issuer}/revoke`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${machine}:${secretOf(machine)}`)}` },
      body: new URLSearchParams({ token: jwt }),
    });
    assert.equal(response.status, 200);
  }

  #at<T>(node: 0 | 1, work: () => Promise<T>): Promise<T> {
    return this.#setup.nodes[node].run(work);
  }

  /** @returns the tokens where there are to be some */
  async #answered(
    node: 0 | 1,
    isGood: boolean,
    ask: () => Promise<TokenAnswer>,
  ): Promise<Record<string, string> | undefined> {
    const { status, body } = await this.#at(node, ask);
    assert.equal(status, isGood ? 200 : 400, JSON.stringify(body));
    return isGood ? (body as Record<string, string>) : undefined;
  }

  #note(jwt = '', client: string, family?: Family) {
    const claims = decodeJwt(jwt);
    const expiresAt = (claims.exp ?? 0) * 1000;
    this.#model.issued.push({ jwt, client, expiresAt, ...(family && { family }) });
    return claims;
  }

  /** Until all APIs answer as the model does; before its time none may refuse what is good, after it none accept what is not. */
  async #check(): Promise<void> {
    await until(async () => {
      const open = await Promise.all(this.#model.issued.flatMap((token) => this.#compared(token)));
      return !open.includes('open');
    }, 30_000);
  }

  #compared(token: Issued): Promise<'as it should be' | 'open'>[] {
    return this.#setup.apis.map(async (api) => {
      const askedAt = performance.now();
      const left = token.expiresAt - Date.now();
      if (Math.abs(left) < ABOUT) return 'as it should be';
      const answer = await api.answerTo(token.jwt);
      this.answers += 1;
      const what = `${api.name} says ${answer}: a token of ${token.client}`;
      if (left < 0) {
        assert.notEqual(answer, 'accepted', `${what}, expired`);
        return 'as it should be';
      }
      if (answer === 'unavailable') {
        assert.ok(askedAt - this.#disturbedAt < RECOVERY, what);
        return 'open';
      }
      if (token.overAt === undefined) {
        assert.equal(answer, 'accepted', `${what}, which is good`);
        return 'as it should be';
      }
      if (answer !== 'accepted') return 'as it should be';
      const bound = this.#boundOf(api.hasStream, askedAt);
      const since = askedAt - token.overAt;
      assert.ok(since < bound + BUSY, `${what}, revoked ${since.toFixed()} ms before`);
      return 'open';
    });
  }

  /** An API that has just lost its stream goes by the lists. */
  #boundOf(hasStream: boolean, now: number): number {
    return hasStream && now - this.#disturbedAt > RECOVERY ? 1000 : TTL * 1000;
  }
}
