import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { canRefresh, inNewBrowser, isSignedIn, type SignedInBrowser } from '../account-pages/people.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { TwoNodes } from '../status/two-nodes.ts';
import type { Said } from '../support/command.ts';
import { ADMIN, ALICE, authorizationRequest, refresh } from '../support/flows.ts';
import { Browser } from '../support/browser.ts';
import { startApiSetup, type ApiSetup } from './api-setup.ts';

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
  describe(`The command latchkey accounts beside an API and two nodes on ${backend.name}`, function () {
    this.timeout(60_000);
    let setup: ApiSetup;
    let nodes: TwoNodes;
    beforeEach(async () => {
      setup = await startApiSetup(backend, withAdminScope);
      ({ nodes } = setup);
    });
    afterEach(() => setup.stop());

    const latchkey = (line: string, said?: Said): Promise<string> => setup.succeeds(`accounts ${line}`, said);
    const isTaken = ({ tokens }: SignedInBrowser): Promise<boolean> => setup.takes(tokens['access_token']);
    const untilRefused = ({ tokens }: SignedInBrowser): Promise<void> => setup.untilRefused(tokens['access_token']);

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

    it('A new role and its scopes appear in the next token, and removing it revokes every token with it', async () => {
      const { issuer } = nodes;
      const alice = await inNewBrowser(issuer, { scope: EVERYTHING });
      const admin = await inNewBrowser(issuer, { person: ADMIN, scope: EVERYTHING });
      const seen = async (one: SignedInBrowser): Promise<number[]> =>
        Promise.all(['/', '/by-role', '/by-scope'].map((path) => setup.call(path, one.tokens['access_token'])));
      assert.deepEqual(await seen(alice), [200, 403, 403]);

      await latchkey(`add-role ${ALICE.email} admin`);
      await renew(alice);
      const withAdmin = await inNewBrowser(issuer, { scope: EVERYTHING, browser: alice.browser });
      assert.deepEqual(await seen(withAdmin), [200, 200, 200]);

      const before = { ...withAdmin, tokens: { ...withAdmin.tokens } };
      const out = await latchkey(`remove-role ${ALICE.email} admin`);
      assert.match(out, /^alice@example\.com now has the roles user\n {2}- its access tokens are revoked;/);
      await untilRefused(before);
      assert.deepEqual(await seen(before), [401, 401, 401]);
      assert.ok(await isSignedIn(nodes, withAdmin));
      await renew(withAdmin);
      assert.deepEqual(await seen(withAdmin), [200, 403, 403]);
      assert.deepEqual(await seen(admin), [200, 200, 200]);
    });

    it('"accounts disable" revokes everything of an account, and enable allows new sessions', async () => {
      const { issuer } = nodes;
      const [one, two] = [await inNewBrowser(issuer), await inNewBrowser(issuer, { clientId: 'demo-photos' })];
      const admin = await inNewBrowser(issuer, { person: ADMIN });
      for (const each of [one, two, admin]) assert.ok(await isTaken(each));
      const out = await latchkey(`disable ${ALICE.email}`);
      assert.equal(
        out,
        `disabled alice@example.com: nobody can sign in to it
  - 2 sessions and the access of 2 apps end
  - APIs that follow the status events refuse the access tokens within 1s, all other APIs within 10s
  - "latchkey accounts enable alice@example.com" allows sign-in again
`,
      );
      for (const each of [one, two]) await untilRefused(each);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.deepEqual(await left(admin), [true, true, true]);

      assert.equal(await latchkey(`enable ${ALICE.email}`), 'alice@example.com is enabled: it can sign in again\n');
      assert.deepEqual(await left(one), [false, false, false]);
      assert.ok(!(await isTaken(two)));
      assert.deepEqual(await left(await inNewBrowser(issuer)), [true, true, true]);
    });

    it('"accounts sign-out" ends all sessions of an account, which can then sign in again', async () => {
      const one = await inNewBrowser(nodes.issuer);
      assert.match(await latchkey(`sign-out ${ALICE.email}`), /^signed alice@example\.com out everywhere/);
      await untilRefused(one);
      assert.deepEqual(await left(one), [false, false, false]);
      assert.deepEqual(await left(await inNewBrowser(nodes.issuer)), [true, true, true]);
    });

    it('"accounts password" ends everything that the old password opened', async () => {
      const one = await inNewBrowser(nodes.issuer);
      const input = 'plum cassette harbour';
      await latchkey(`password ${ALICE.email} --password-file -`, { input });
      await untilRefused(one);
      assert.deepEqual(await left(one), [false, false, false]);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.ok(await signsIn(ALICE.email, input));
    });

    it('"accounts remove" deletes an account after confirmation and frees its address', async () => {
      const one = await inNewBrowser(nodes.issuer, { clientId: 'demo-notes' });
      const asked = await setup.latchkey(`accounts remove ${ALICE.email}`, { answers: ['n'] });
      assert.equal(asked.code, 1);
      assert.match(asked.err, /^removing alice@example\.com \(acc_\w+\) and its password\n {2}- 1 session and/);
      assert.match(asked.err, /the configuration lists alice@example\.com under accounts/);
      assert.deepEqual(await left(one), [true, true, true]);

      await latchkey(`remove ${ALICE.email} --yes`);
      await untilRefused(one);
      assert.deepEqual(await left(one), [false, false, false]);
      await latchkey(`add ${ALICE.email}`);
      assert.ok(!(await signsIn(ALICE.email, ALICE.password)));
      assert.deepEqual(await left(one), [false, false, false]);
      const { err } = await setup.latchkey('accounts show ghost@example.com');
      assert.match(err, /there is no account "ghost@example\.com"/);
    });

    it('"accounts show" lists an account’s sessions, its apps and the scopes of its roles', async () => {
      await inNewBrowser(nodes.issuer, { person: ADMIN, on: 'a phone' });
      const time = String.raw`2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
      const out = await latchkey(`show ${ADMIN.email}`);
      assert.match(
        out,
        new RegExp(
          `^email +admin@example.com\nverified +${time}, by the configuration\nname +Admin\nid +acc_\\w+\nstate +active\n` +
            `created +${time}, by configuration\npassword +set ${time}\n` +
            `roles +user, admin\nscopes by role +notes:read\n\n` +
            `session +browser +signed in +last used +apps\n[\\w-]{43} +Safari on iPhone +${time} +${time} +demo-notes\n\n` +
            `app +access\ndemo-notes +openid; notes:read at http://localhost:\\d+\n$`,
        ),
      );
      const shown = JSON.parse(await latchkey(`show ${ADMIN.email} --json`)) as Record<string, unknown>;
      assert.deepEqual([shown['roles'], shown['opens']], [['user', 'admin'], ['notes:read']]);
    });
  });
}
