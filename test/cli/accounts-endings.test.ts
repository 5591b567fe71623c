import assert from 'node:assert/strict';
import { createVerifier, guard, type Verifier } from '../../src/resource-server/resource-server.ts';
import type { Config } from '../../src/config/schema.ts';
import { canRefresh, inNewBrowser, isSignedIn, type SignedInBrowser } from '../account-pages/people.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { serve, type Serving } from '../resource-server/serving.ts';
import { startTwoNodes, type TwoNodes } from '../status/two-nodes.ts';
import { besides, command, type Said } from '../support/command.ts';
import { ADMIN, ALICE, authorizationRequest, refresh } from '../support/flows.ts';
import { Browser } from '../support/browser.ts';
import { apiOf } from '../support/tokens.ts';
import { until } from '../support/until.ts';

/** With the stream of events, and with room for a busy machine. */
const BOUND = 3000;
const EVERYTHING = 'openid notes:read notes:admin';

/** A scope that only admins may receive. */
function withAdminScope(config: Config): Config {
  return {
    ...config,
    resources: config.resources.map((resource) => ({
      ...resource,
      scopes: { ...resource.scopes, 'notes:admin': { description: 'Manage all notes', roles: ['admin'] } },
    })),
    clients: config.clients.map((client) => ({ ...client, scopes: [...client.scopes, 'notes:admin'] })),
  };
}

for (const backend of serverStores) {
  describe(`latchkey accounts, beside an API and two nodes on ${backend.name}`, function () {
    this.timeout(30_000);
    let nodes: TwoNodes;
    let verifier: Verifier;
    let api: Serving;
    beforeEach(async () => {
      nodes = await startTwoNodes(backend, withAdminScope);
      const { issuer } = nodes;
      verifier = createVerifier({ issuer, audience: apiOf(issuer), status: { check: 'required' } });
      const guards = new Map([
        ['/notes', guard(verifier, { scope: 'notes:read' })],
        ['/by-role', guard(verifier, { role: 'admin' })],
        ['/by-scope', guard(verifier, { scope: 'notes:admin' })],
      ]);
      api = await serve((request, response) => {
        void guards
          .get(request.url ?? '')?.(request, response)
          .then((token) => token && response.end());
      });
    });
    afterEach(async () => {
      await api.close();
      verifier.close();
      await nodes.stop();
    });

    async function latchkey(line: string, said: Said = {}): Promise<string> {
      const [{ config, directory }] = nodes.nodes;
      const environment = besides({ directory, issuer: nodes.issuer, store: config.stores.grants });
      const { code, out, err } = await command(['accounts', ...line.split(' ')], { ...said, environment });
      assert.equal(code, 0, out + err);
      return out;
    }

    const call = async (path: string, { tokens }: SignedInBrowser): Promise<number> =>
      (await fetch(api.url + path, { headers: { authorization: `Bearer ${tokens['access_token']}` } })).status;

    const isTaken = async (one: SignedInBrowser): Promise<boolean> => {
      const status = await call('/notes', one);
      assert.ok(status === 200 || status === 401, String(status));
      return status === 200;
    };

    /** Refreshes at the other node, and goes on with the new tokens. */
    async function renew(one: SignedInBrowser): Promise<void> {
      const { status, body } = await refresh(nodes.origins[1], one.tokens['refresh_token']);
      assert.equal(status, 200, JSON.stringify(body));
      Object.assign(one.tokens, body);
    }

    /** What is left of what an app and a browser had: session, refresh token, access token. */
    const left = async (one: SignedInBrowser): Promise<boolean[]> => [
      await isSignedIn(nodes, one),
      await canRefresh(nodes.origins[1], one),
      await isTaken(one),
    ];

    const signsIn = async (email: string, password: string): Promise<boolean> => {
      const browser = new Browser();
      const page = await browser.visit(authorizationRequest(nodes.issuer).url);
      return (await browser.submit(page, { email, password }, 'http://localhost:')).status !== 401;
    };

    it('gives a role with its scopes to the next token, and takes both from every token with it', async () => {
      const { issuer } = nodes;
      const alice = await inNewBrowser(issuer, { scope: EVERYTHING });
      const admin = await inNewBrowser(issuer, { person: ADMIN, scope: EVERYTHING });
      const seen = async (one: SignedInBrowser): Promise<number[]> =>
        Promise.all(['/notes', '/by-role', '/by-scope'].map((path) => call(path, one)));
      assert.deepEqual(await seen(alice), [200, 403, 403]);

      await latchkey(`add-role ${ALICE.email} admin`);
      await renew(alice);
      const withAdmin = await inNewBrowser(issuer, { scope: EVERYTHING, browser: alice.browser });
      assert.deepEqual(await seen(withAdmin), [200, 200, 200]);

      const before = { ...withAdmin, tokens: { ...withAdmin.tokens } };
      const out = await latchkey(`remove-role ${ALICE.email} admin`);
      assert.match(out, /^alice@example\.com has the roles user\n {2}- its access tokens are taken back;/);
      await until(async () => !(await isTaken(before)), BOUND);
      assert.deepEqual(await seen(before), [401, 401, 401]);
      assert.ok(await isSignedIn(nodes, withAdmin));
      await renew(withAdmin);
      assert.deepEqual(await seen(withAdmin), [200, 403, 403]);
      assert.deepEqual(await seen(admin), [200, 200, 200]);
    });

    it('disables an account with all that it has, and enables it for new sessions', async () => {
      const { issuer } = nodes;
      const [one, two] = [await inNewBrowser(issuer), await inNewBrowser(issuer, { clientId: 'demo-photos' })];
      const admin = await inNewBrowser(issuer, { person: ADMIN });
      for (const each of [one, two, admin]) assert.ok(await isTaken(each));
      const out = await latchkey(`disable ${ALICE.email}`);
      assert.equal(
        out,
        `disabled alice@example.com: nobody signs in to it, and this has ended
  - 2 sessions, and what 2 apps may do
  - APIs refuse its access tokens within 1s where they listen for it, within 10s where they ask
  - "latchkey accounts enable alice@example.com" lets it in again, to new sessions
`,
      );
      for (const each of [one, two]) await until(async () => !(await isTaken(each)), BOUND);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.deepEqual(await left(admin), [true, true, true]);

      assert.equal(await latchkey(`enable ${ALICE.email}`), 'alice@example.com is enabled: it signs in again\n');
      assert.deepEqual(await left(one), [false, false, false]);
      assert.ok(!(await isTaken(two)));
      assert.deepEqual(await left(await inNewBrowser(issuer)), [true, true, true]);
    });

    it('signs an account out everywhere, and it signs in again', async () => {
      const one = await inNewBrowser(nodes.issuer);
      assert.match(await latchkey(`sign-out ${ALICE.email}`), /^signed alice@example\.com out everywhere/);
      await until(async () => !(await isTaken(one)), BOUND);
      assert.deepEqual(await left(one), [false, false, false]);
      assert.deepEqual(await left(await inNewBrowser(nodes.issuer)), [true, true, true]);
    });

    it('sets a password, which ends what the old one had opened', async () => {
      const one = await inNewBrowser(nodes.issuer);
      const input = 'plum cassette harbour';
      await latchkey(`password ${ALICE.email} --password-file -`, { input });
      await until(async () => !(await isTaken(one)), BOUND);
      assert.deepEqual(await left(one), [false, false, false]);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.ok(await signsIn(ALICE.email, input));
    });

    it('removes an account when told to, whose address is then free for another', async () => {
      const one = await inNewBrowser(nodes.issuer, { clientId: 'demo-notes' });
      const [{ config, directory }] = nodes.nodes;
      const environment = besides({ directory, issuer: nodes.issuer, store: config.stores.grants });
      const asked = await command(['accounts', 'remove', ALICE.email], { environment, answers: ['n'] });
      assert.equal(asked.code, 1);
      assert.match(asked.err, /^removing alice@example\.com \(acc_\w+\), its password, and\n {2}- 1 session, and/);
      assert.match(asked.err, /the configuration names it under accounts/);
      assert.deepEqual(await left(one), [true, true, true]);

      await latchkey(`remove ${ALICE.email} --yes`);
      await until(async () => !(await isTaken(one)), BOUND);
      assert.deepEqual(await left(one), [false, false, false]);
      await latchkey(`add ${ALICE.email}`);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.deepEqual(await left(one), [false, false, false]);
      const { err } = await command(['accounts', 'show', 'ghost@example.com'], { environment });
      assert.match(err, /there is no account "ghost@example\.com"/);
    });

    it('shows where an account is signed in, which apps have access, and what its roles open', async () => {
      await inNewBrowser(nodes.issuer, { person: ADMIN, on: 'a phone' });
      const time = String.raw`2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
      const out = await latchkey(`show ${ADMIN.email}`);
      assert.match(
        out,
        new RegExp(
          `^email +admin@example.com\nname +Admin\nid +acc_\\w+\nstate +active\ncreated +${time}\npassword +set ${time}\n` +
            `roles +user, admin\nwhich open +notes:read\n\n` +
            `session +browser +signed in +last used +apps\n[\\w-]{43} +Safari on iPhone +${time} +${time} +demo-notes\n\n` +
            `app +may\ndemo-notes +openid; notes:read at http://localhost:\\d+\n$`,
        ),
      );
      const shown = JSON.parse(await latchkey(`show ${ADMIN.email} --json`)) as Record<string, unknown>;
      assert.deepEqual([shown['roles'], shown['opens']], [['user', 'admin'], ['notes:read']]);
    });
  });
}
