import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import type { AccountId } from '../../src/lib/ids.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Domain } from '../../src/domain/domain.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';
import { Browser } from '../support/browser.ts';
import { ADMIN, ALICE, refresh, tokensFor, type Person } from '../support/flows.ts';
import { domainOn } from '../support/domain.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import {
  accountId,
  ACCOUNT_DISABLED,
  ACCOUNT_ENABLED,
  ACCOUNT_PURGED,
  CREDENTIAL_CHANGE,
  Receiver,
  SESSION_REVOKED,
  startSecondNode,
  TOKEN_CLAIMS_CHANGE,
  verifySet,
  withSignals,
  type Set,
} from './signals-setup.ts';

const EVERYTHING = [
  ...[SESSION_REVOKED, CREDENTIAL_CHANGE, TOKEN_CLAIMS_CHANGE],
  ...[ACCOUNT_DISABLED, ACCOUNT_ENABLED, ACCOUNT_PURGED],
];

const done = (): Promise<void> => Promise.resolve();

for (const backend of serverStores) {
  describe(`Shared signals about revocations, by two nodes on ${backend.name}`, () => {
    let store: RunningBackend;
    let server: TestServer;
    let second: TestServer & { url: string };
    let stores: Stores;
    let domain: Domain;
    let operations: Domain['operations'];
    let [alice, admin]: AccountId[] = [];
    let [web, watch]: Listening[] = [];

    interface Listening {
      client: string;
      stream: string;
    }

    before(async () => {
      store = await backend.start();
      server = await startTestServer({ store: store.url, change: withSignals() });
      second = await startSecondNode(server, store.url, withSignals());
      stores = await openStores(server.config.stores, systemClock);
      domain = domainOn(stores, server.config);
      ({ operations } = domain);
      alice = (await accountId(server, 'alice@example.com')) as AccountId;
      admin = (await accountId(server, 'admin@example.com')) as AccountId;
      [web, watch] = [await listen('demo-web'), await listen('watch')];
    });

    after(async () => {
      await stores.close();
      await second.close();
      await server.close();
      await store.stop();
    });

    async function listen(client: string): Promise<Listening> {
      const receiver = await Receiver.of(server.issuer, client, { base: second.url });
      return { client, stream: await receiver.stream({ events_requested: EVERYTHING }) };
    }

    /** What a receiver is told until so much has come, and that nothing else did. */
    async function hears(listening: Listening | undefined, count: number): Promise<Set[]> {
      assert.ok(listening !== undefined);
      const { client, stream } = listening;
      // With a new token: what takes everything back does so with a receiver's too.
      const receiver = await Receiver.of(server.issuer, client, { base: second.url });
      const sets: string[] = [];
      for (let ack: string[] = [], isOver = false; !isOver; isOver = ack.length === 0) {
        const answer = await receiver.poll(stream, { ack, returnImmediately: sets.length >= count });
        sets.push(...Object.values(answer.sets));
        ack = Object.keys(answer.sets);
      }
      assert.equal(sets.length, count);
      return Promise.all(sets.map((token) => verifySet(server.issuer, token, receiver.client)));
    }

    async function signIn(clientId: string, options: { person?: Person; browser?: Browser; scope?: string } = {}) {
      const { person = ALICE, browser = new Browser(), scope = 'openid' } = options;
      const tokens = await tokensFor(server.issuer, { clientId, person, browser, parameters: { scope } });
      return { browser, tokens, sid: String(decodeJwt(tokens['id_token'] ?? '')['sid']) };
    }

    const told = (sets: Set[]): unknown[] =>
      sets.map(({ type, subject }) => [type, (subject['session'] as { id: string } | undefined)?.id ?? subject['sub']]);
    const entities = (sets: Set[]) => sets.map(({ event }) => event['initiating_entity']);
    const sorted = (list: unknown[]): unknown[] => list.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));

    it('The event of a sign-out names the session by the session id that each app has for it', async () => {
      const browser = new Browser();
      const [own, notes] = [await signIn('demo-web', { browser }), await signIn('demo-notes', { browser })];
      await browser.visit(`${server.issuer}/logout?id_token_hint=${String(own.tokens['id_token'])}`);
      const [event = assert.fail()] = await hears(web, 1);
      assert.deepEqual(told([event]), [[SESSION_REVOKED, own.sid]]);
      assert.deepEqual(event.subject['user'], { format: 'iss_sub', iss: server.issuer, sub: alice });
      const { event_timestamp: at, ...rest } = event.event;
      assert.ok(Math.abs(Number(at) - Date.now() / 1000) < 30);
      assert.deepEqual(rest, { initiating_entity: 'user', reason_admin: { en: 'The person signed out' } });
      const all = await hears(watch, 2);
      assert.deepEqual(sorted(told(all)), sorted([own.sid, notes.sid].map((sid) => [SESSION_REVOKED, sid])));
      assert.deepEqual(new Set(all.map(({ claims }) => claims['txn'])), new Set([event.claims['txn']]));
    });

    it('A receiver gets no event about a session in which its app took no part', async () => {
      const { browser, tokens, sid } = await signIn('demo-notes');
      await browser.visit(`${server.issuer}/logout?id_token_hint=${String(tokens['id_token'])}`);
      assert.deepEqual(told(await hears(watch, 1)), [[SESSION_REVOKED, sid]]);
      assert.deepEqual(await hears(web, 0), []);
    });

    it('A password change causes an event for itself and for each session that it ended', async () => {
      const [kept, ended] = [await signIn('demo-web'), await signIn('demo-web')];
      const { keys } = await stores.grants.members<{ authorizations?: Record<string, { sid: string }> }>(
        `sessions-of-account:${alice ?? ''}`,
      );
      const records = await stores.grants.getMany(keys);
      const at = records.findIndex((record) => record?.value.authorizations?.['demo-web']?.sid === kept.sid);
      const session = (keys[at] ?? '').replace('session:', '');
      const change = { store: done, exceptSession: session };
      await operations.changeCredentials(alice ?? assert.fail(), 'password-changed', change);
      const heard = await hears(web, 2);
      assert.deepEqual(
        sorted(told(heard)),
        sorted([
          [SESSION_REVOKED, ended.sid],
          [CREDENTIAL_CHANGE, alice],
        ]),
      );
      const [changed] = heard.filter(({ type }) => type === CREDENTIAL_CHANGE);
      assert.deepEqual([changed?.event['credential_type'], changed?.event['change_type']], ['password', 'update']);
      await hears(watch, 2);
    });

    it('An app whose consent a person withdraws gets an event about that, and no event afterwards', async () => {
      await signIn('demo-web');
      await operations.withdrawConsent(alice ?? assert.fail(), 'demo-web');
      assert.deepEqual(told(await hears(web, 1)), [[SESSION_REVOKED, alice]]);
      await operations.changeCredentials(alice ?? assert.fail(), 'password-changed', { store: done });
      assert.deepEqual(
        sorted(told(await hears(watch, 2))),
        sorted([
          [SESSION_REVOKED, alice],
          [CREDENTIAL_CHANGE, alice],
        ]),
      );
      assert.deepEqual(await hears(web, 0), []);
    });

    it('The replay of a refresh token, a new client secret and a client revocation cause no event about an account', async () => {
      const { tokens } = await signIn('demo-notes', { scope: 'openid offline_access' });
      const first = await refresh(server.issuer, tokens['refresh_token']);
      await refresh(server.issuer, String(first.body['refresh_token']));
      await operations.rollClientSecret('demo-web', done);
      await operations.endBefore({ client: 'demo-notes' });
      // The one after them tells that all of them are through.
      await signIn('demo-web');
      await operations.endBefore({ account: alice ?? assert.fail() });
      const all = await hears(watch, 1);
      assert.deepEqual(told(all), [[SESSION_REVOKED, alice]]);
      assert.deepEqual(entities(all), ['admin']);
      assert.deepEqual(told(await hears(web, 1)), [[SESSION_REVOKED, alice]]);
    });

    it('The revocation for everybody causes an event for each session that existed', async () => {
      const [own, other] = [await signIn('demo-web'), await signIn('demo-notes', { person: ADMIN })];
      await operations.endBefore('everybody');
      assert.deepEqual(
        sorted(told(await hears(watch, 2))),
        sorted([own.sid, other.sid].map((sid) => [SESSION_REVOKED, sid])),
      );
      assert.deepEqual(told(await hears(web, 1)), [[SESSION_REVOKED, own.sid]]);
    });

    it('Each added or removed role causes one event with the account’s new roles', async () => {
      await signIn('demo-web', { scope: 'openid roles' });
      const id = alice ?? assert.fail();
      await domain.accountChanges.addRoles(id, ['admin']);
      const withoutIt = (now: readonly string[]) => now.filter((role) => role !== 'admin');
      await operations.removeRole(id, () => domain.accounts.setRoles(id, withoutIt));
      for (const listening of [web, watch]) {
        const heard = await hears(listening, 2);
        assert.deepEqual(
          heard.map(({ type, event, subject }) => [type, event['claims'], subject['sub']]),
          [
            [TOKEN_CLAIMS_CHANGE, { roles: ['user', 'admin'] }, alice],
            [TOKEN_CLAIMS_CHANGE, { roles: ['user'] }, alice],
          ],
        );
        assert.deepEqual(entities(heard), ['admin', 'admin']);
      }
    });

    it('A client gets no events while it is disabled, and does not get them later', async () => {
      await operations.disableClient('demo-web');
      await operations.endBefore({ account: alice ?? assert.fail() });
      await hears(watch, 1);
      await domain.clients.enable('demo-web');
      assert.deepEqual(await hears(web, 0), []);
    });

    it('Receivers that know an account get an event when it is disabled, enabled or deleted', async () => {
      await signIn('demo-web', { person: ADMIN });
      await operations.disableAccount(alice ?? assert.fail());
      const heard = await hears(web, 2);
      assert.deepEqual(
        sorted(told(heard)),
        sorted([
          [SESSION_REVOKED, alice],
          [ACCOUNT_DISABLED, alice],
        ]),
      );
      assert.equal(new Set(heard.map(({ claims }) => claims['txn'])).size, 1);
      await hears(watch, 2);
      for (const wasDisabled of [true, false])
        assert.equal(await domain.accountChanges.enable(alice ?? assert.fail()), wasDisabled);
      assert.deepEqual(told(await hears(web, 1)), [[ACCOUNT_ENABLED, alice]]);
      await hears(watch, 1);
      await operations.removeAccount(admin ?? assert.fail());
      const about = sorted([
        [SESSION_REVOKED, admin],
        [ACCOUNT_PURGED, admin],
      ]);
      assert.deepEqual(sorted(told(await hears(web, 2))), about);
      assert.deepEqual(sorted(told(await hears(watch, 2))), about);
      assert.deepEqual((await stores.records.members(`signal-records-of-account:${admin ?? ''}`)).keys, []);
    });
  });
}
