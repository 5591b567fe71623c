import assert from 'node:assert/strict';
import { endingsOf } from '../../src/cli/endings.ts';
import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Endings } from '../../src/revocation/endings.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import type { Backend, RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { ALICE, answerAtOnce, authorizationRequest, tokensFor, type Person } from '../support/flows.ts';
import { startServerProcess, type ServerProcess } from '../support/server-process.ts';
import { startTestServer, type TestServer } from '../support/server.ts';

/** What one app holds of one person. */
export interface Holding {
  browser: Browser;
  client: string;
  tokens: Record<string, string>;
}

/** Two nodes on one store, and a command beside them. What happens at one of them is looked at through the other. */
export class World {
  readonly node: TestServer;
  readonly other: ServerProcess;
  readonly stores: Stores;
  /** As a command has them. */
  readonly endings: Endings;
  readonly #store: RunningBackend;

  private constructor(node: TestServer, other: ServerProcess, stores: Stores, store: RunningBackend) {
    this.node = node;
    this.other = other;
    this.stores = stores;
    this.endings = endingsOf(node.config, stores);
    this.#store = store;
  }

  static async start(backend: Backend, change?: (config: Config) => Config): Promise<World> {
    const store = await backend.start();
    const node = await startTestServer({ store: store.url, ...(change && { change }) });
    const { directory, issuer } = node;
    const other = await startServerProcess({ directory, issuer, store: store.url });
    const stores = await openStores(node.config.stores, systemClock);
    return new World(node, other, stores, store);
  }

  async stop(): Promise<void> {
    await this.stores.close();
    await this.other.close();
    await this.node.close();
    await this.#store.stop();
  }

  async holding(
    options: { person?: Person; client?: string; browser?: Browser; scope?: string } = {},
  ): Promise<Holding> {
    const { person = ALICE, client = 'demo-notes', browser = new Browser(), scope = 'openid email' } = options;
    const parameters = { scope, ...(scope.includes('offline_access') && { prompt: 'consent' }) };
    const tokens = await tokensFor(this.node.issuer, { person, clientId: client, browser, parameters });
    return { browser, client, tokens };
  }

  /** Whether the other node takes a token for good. */
  async isActive(token: string | undefined): Promise<boolean> {
    const response = await fetch(`${this.other.url}/introspect`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('demo-web:demo-web-secret')}` },
      body: new URLSearchParams({ token: token ?? '' }),
    });
    assert.equal(response.status, 200);
    return ((await response.json()) as { active: boolean }).active;
  }

  async isSignedIn({ browser, client }: Pick<Holding, 'browser' | 'client'>): Promise<boolean> {
    const request = authorizationRequest(this.node.issuer, client, { prompt: 'none', scope: 'openid' });
    return 'code' in (await answerAtOnce(browser, request));
  }

  /** What is left of a holding: its session, its refresh token, its access token. */
  async left(holding: Holding): Promise<{ session: boolean; refresh: boolean; access: boolean }> {
    const { refresh_token, access_token } = holding.tokens;
    const [refresh, access] = await Promise.all([this.isActive(refresh_token), this.isActive(access_token)]);
    return { session: await this.isSignedIn(holding), refresh, access };
  }

  async accountOf(person: Person = ALICE): Promise<string> {
    const { access_token = '' } = (await this.holding({ person })).tokens;
    const answer = await fetch(`${this.node.issuer}/userinfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    });
    return ((await answer.json()) as { sub: string }).sub;
  }
}

export const ALL = { session: true, refresh: true, access: true };
export const NOTHING = { session: false, refresh: false, access: false };
export const SESSION_ALONE = { session: true, refresh: false, access: false };
