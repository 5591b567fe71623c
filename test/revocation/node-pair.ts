import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { Accounts } from '../../src/accounts/accounts.ts';
import type { Config } from '../../src/config/schema.ts';
import { OPERATOR } from '../../src/limits/lane.ts';
import type { Domain } from '../../src/domain/domain.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { AccountId } from '../../src/lib/ids.ts';
import { sessionsOfAccount } from '../../src/sessions/session-records.ts';
import type { Operations } from '../../src/revocation/operations.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import { isRevoked, placeOf } from '../status/published-lists.ts';
import type { Backend, RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, answerAtOnce, authorizationRequest, tokenRequest, tokensFor, type Person } from '../support/flows.ts';
import { domainOn } from '../support/domain.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { until } from '../support/until.ts';

/** What one app holds of one person: a session, and of one grant a refresh token, a JWT for an API and an opaque token. */
export interface Holding {
  browser: Browser;
  client: string;
  account: AccountId;
  sid: string;
  refresh: string;
  jwt: string;
  opaque: string;
}

/** What of a holding is still good. */
export interface Left {
  session: boolean;
  refresh: boolean;
  jwt: boolean;
  opaque: boolean;
}

export const ALL: Left = { session: true, refresh: true, jwt: true, opaque: true };
export const NOTHING: Left = { session: false, refresh: false, jwt: false, opaque: false };
export const SESSION_ALONE: Left = { ...NOTHING, session: true };

/** Two nodes on one store, and a command beside them. What happens at one of them is looked at through the other. */
export class NodePair {
  readonly node: TestServer;
  readonly stores: Stores;
  /** As a command has it. */
  readonly domain: Domain;
  readonly accounts: Accounts;
  readonly operations: Operations;
  /** The other node. */
  readonly other: string;
  readonly #stop: () => Promise<void>;

  private constructor(node: TestServer, other: string, stores: Stores, stop: () => Promise<void>) {
    this.node = node;
    this.other = other;
    this.stores = stores;
    this.domain = domainOn(stores, node.config);
    this.accounts = this.domain.accounts;
    this.operations = this.domain.operations;
    this.#stop = stop;
  }

  /** @param open opens the stores of the first node, such as ones that fail */
  static async start(
    backend: Backend,
    change = (config: Config): Config => config,
    open: typeof openStores = openStores,
  ): Promise<NodePair> {
    const store: RunningBackend = await backend.start();
    const port = await freePort();
    const withAlias = (config: Config): Config =>
      change({ ...config, listen: { ...config.listen, aliases: [`localhost:${port}`] } });
    const node = await startTestServer({ store: store.url, change: withAlias, openStores: open });
    const other = await startTestServer({ store: store.url, change: withAlias, sameAs: node, port });
    const stores = await openStores(node.config.stores, systemClock);
    return new NodePair(node, `http://localhost:${port}`, stores, async () => {
      await stores.close();
      await other.close();
      await node.close();
      await store.stop();
    });
  }

  stop(): Promise<void> {
    return this.#stop();
  }

  /** Makes an account that can sign in. */
  async newPerson(name: string): Promise<Person> {
    const person = { email: `${name}@example.com`, password: 'a long phrase of somebody' };
    const account = await this.accounts.create({
      email: person.email,
      name: 'Somebody',
      roles: ['user'],
      origin: 'operator' as const,
    });
    assert.ok(account !== 'email-taken');
    await this.domain.passwords.set(account.id, person.password, OPERATOR);
    return person;
  }

  async holding(options: { person?: Person; client?: string; browser?: Browser } = {}): Promise<Holding> {
    const { person = ALICE, client = 'demo-notes', browser = new Browser() } = options;
    const of = (scope: string) =>
      tokensFor(this.node.issuer, { person, clientId: client, browser, parameters: { scope } });
    const { access_token: opaque = '' } = await of('openid email');
    const { access_token: jwt = '', refresh_token: refresh = '', id_token = '' } = await of('openid notes:read');
    const { sub, sid } = decodeJwt(id_token);
    return { browser, client, account: sub as AccountId, sid: String(sid), refresh, jwt, opaque };
  }

  async machineToken(basic = 'demo-service:demo-service-secret'): Promise<string> {
    const { body, status } = await tokenRequest(this.node.issuer, { grant_type: 'client_credentials' }, basic);
    assert.equal(status, 200, JSON.stringify(body));
    return String(body['access_token']);
  }

  /** Whether the other node takes a token for good. For a JWT its published list must say the same within the bound. */
  async isActive(token: string): Promise<boolean> {
    let active = await this.#introspect(token);
    // A revocation may come between the two answers, so that the first one has to be asked for again.
    if (token.split('.').length === 3)
      await until(async () => {
        const revoked = await isRevoked(placeOf(token), this.other);
        active = await this.#introspect(token);
        return revoked !== active;
      });
    return active;
  }

  async #introspect(token: string): Promise<boolean> {
    const response = await fetch(`${this.other}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
      body: new URLSearchParams({ token }),
    });
    assert.equal(response.status, 200);
    const { active } = (await response.json()) as { active: boolean };
    return active;
  }

  async isSignedIn({ browser, client }: Pick<Holding, 'browser' | 'client'>): Promise<boolean> {
    const request = authorizationRequest(this.node.issuer, client, { prompt: 'none', scope: 'openid' });
    return 'code' in (await answerAtOnce(browser, request));
  }

  async left(holding: Holding): Promise<Left> {
    const [refresh, jwt, opaque] = await Promise.all(
      [holding.refresh, holding.jwt, holding.opaque].map((token) => this.isActive(token)),
    );
    return {
      session: await this.isSignedIn(holding),
      refresh: refresh ?? true,
      jwt: jwt ?? true,
      opaque: opaque ?? true,
    };
  }

  /** The uid of a holding's session. */
  async sessionOf({ account, client, sid }: Holding): Promise<string> {
    const { keys } = await this.stores.grants.members(sessionsOfAccount(account));
    const found = await this.stores.grants.getMany(keys);
    const at = found.findIndex((stored) => stored?.value.authorizations?.[client]?.sid === sid);
    return keys[at]?.slice('session:'.length) ?? assert.fail('there is no such session');
  }
}
