import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT, decodeJwt, decodeProtectedHeader, generateKeyPair } from 'jose';
import { canRefresh, inNewBrowser, isSignedIn } from '../account-pages/people.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { command } from '../support/command.ts';
import { ADMIN, ALICE, tokenRequest } from '../support/flows.ts';
import { startApiSetup, type ApiSetup } from './api-setup.ts';

for (const backend of serverStores) {
  describe(`The command latchkey revoke beside an API and two nodes on ${backend.name}`, function () {
    this.timeout(60_000);
    let setup: ApiSetup;
    before(async () => {
      setup = await startApiSetup(backend);
    });
    after(() => setup.stop());

    const holder = (options: Parameters<typeof inNewBrowser>[1] = {}) => inNewBrowser(setup.nodes.issuer, options);

    /** What is left of what an app and a browser had: session, refresh token, access token. */
    async function left(one: Awaited<ReturnType<typeof holder>>): Promise<boolean[]> {
      const { nodes } = setup;
      return [
        await isSignedIn(nodes, one),
        await canRefresh(nodes.origins[1], one),
        await setup.takes(one.tokens['access_token']),
      ];
    }

    it('"latchkey revoke" says what it will revoke, and revokes nothing without confirmation', async () => {
      const alice = await holder();
      const asked = await setup.latchkey(`revoke --account ${ALICE.email}`, { answers: ['n'] });
      assert.deepEqual([asked.code, asked.out], [1, '']);
      assert.match(
        asked.err,
        /^revoking everything issued to alice@example\.com\n {2}- \d+ sessions? and the access of \d+ apps? end\n(?: {2}- .*\n){2}latchkey: nothing was changed\n$/,
      );
      const nobody = await setup.latchkey(`revoke --account ${ALICE.email}`);
      assert.deepEqual([nobody.code, nobody.err.includes('latchkey help')], [1, false]);
      assert.deepEqual(await left(alice), [true, true, true]);
    });

    it('"revoke --account" revokes everything of that account and nothing of others', async () => {
      const [alice, admin] = [await holder(), await holder({ person: ADMIN })];
      await setup.succeeds(`revoke --account ${ALICE.email} --yes`);
      await setup.untilRefused(alice.tokens['access_token']);
      assert.deepEqual(await left(alice), [false, false, false]);
      assert.deepEqual(await left(admin), [true, true, true]);
    });

    it('"revoke --before" revokes only what was issued before that time', async () => {
      const early = await holder();
      await sleep(5);
      const instant = new Date().toISOString();
      await sleep(5);
      const late = await holder();
      const out = await setup.succeeds(`revoke --account ${ALICE.email} --before ${instant} --yes`);
      assert.match(out, /^revoked everything issued to alice@example\.com before 2\d{3}-/);
      await setup.untilRefused(early.tokens['access_token']);
      assert.deepEqual(await left(early), [false, false, false]);
      assert.deepEqual(await left(late), [true, true, true]);
      await setup.succeeds(`revoke --everything --before 1h --yes`);
      assert.deepEqual(await left(late), [true, true, true]);
    });

    it('"revoke --client" revokes a client’s tokens for all accounts, and reports an unknown client', async () => {
      const notes = await holder();
      const photos = await holder({ browser: notes.browser, clientId: 'demo-photos' });
      await setup.succeeds('revoke --client demo-photos --yes');
      await setup.untilRefused(photos.tokens['access_token']);
      assert.ok(!(await canRefresh(setup.nodes.origins[1], photos, 'demo-photos')));
      assert.deepEqual(await left(notes), [true, true, true]);
      const { code, err } = await setup.latchkey('revoke --client demo-foto', { answers: ['n'] });
      assert.equal(code, 1);
      assert.match(err, /there is currently no client "demo-foto"/);
    });

    it('"revoke --session" ends one session, and names its account and browser', async () => {
      const [desk, phone] = [await holder(), await holder({ on: 'a phone' })];
      const shown = JSON.parse(await setup.succeeds(`accounts show ${ALICE.email} --json`)) as {
        sessions: { session: string; browser: string }[];
      };
      const session = shown.sessions.find(({ browser }) => browser === 'Safari on iPhone')?.session;
      const { code, out } = await setup.latchkey(`revoke --session ${session} --yes`);
      assert.equal(code, 0);
      assert.match(out, /^revoked the session of alice@example\.com in Safari on iPhone, signed in 2\d{3}-/);
      await setup.untilRefused(phone.tokens['access_token']);
      assert.deepEqual(await left(phone), [false, false, false]);
      assert.deepEqual(await left(desk), [true, true, true]);
      const again = await setup.latchkey(`revoke --session ${session} --yes`);
      assert.match(again.err, /there is no session/);
    });

    it('"revoke --token" revokes one access token, or all tokens that belong to a refresh token', async () => {
      const [one, other] = [await holder(), await holder()];
      const input = `${one.tokens['access_token']}\n`;
      assert.match(
        await setup.succeeds('revoke --token - --yes', { input }),
        /^revoked an access token of client "demo-notes" for http/,
      );
      await setup.untilRefused(one.tokens['access_token']);
      assert.deepEqual(await left(one), [true, true, false]);

      await setup.succeeds('revoke --token - --yes', { input: other.tokens['refresh_token'] ?? '' });
      await setup.untilRefused(other.tokens['access_token']);
      assert.deepEqual(await left(other), [true, false, false]);
    });

    it('"revoke --token" revokes an opaque access token', async () => {
      const one = await holder({ scope: 'openid' });
      const token = one.tokens['access_token'] ?? '';
      const knows = async (): Promise<number> =>
        (await fetch(`${setup.nodes.origins[1]}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status;
      assert.equal(await knows(), 200);
      await setup.succeeds('revoke --token - --yes', { input: token });
      assert.equal(await knows(), 401);
    });

    it('"revoke --token" revokes nothing for a token that this server did not sign', async () => {
      const alice = await holder();
      const token = alice.tokens['access_token'] ?? '';
      const { privateKey } = await generateKeyPair('ES256');
      const header = { ...decodeProtectedHeader(token), alg: 'ES256' };
      const forged = await new SignJWT(decodeJwt(token)).setProtectedHeader(header).sign(privateKey);
      for (const input of [forged, 'nonsense', 'a.b.c']) {
        const { code, err } = await setup.latchkey('revoke --token - --yes', { input });
        assert.equal(code, 1);
        assert.match(err, /^latchkey: this server did not issue this token, or the token has expired/);
      }
      assert.deepEqual(await left(alice), [true, true, true]);
    });

    it('"revoke --everything" revokes all tokens and sessions, and new ones can then be issued', async () => {
      const all = [await holder(), await holder({ person: ADMIN })];
      const machine = async (): Promise<string> => {
        const { body } = await tokenRequest(
          setup.nodes.issuer,
          { grant_type: 'client_credentials' },
          'demo-service:demo-service-secret',
        );
        return String(body['access_token']);
      };
      const job = await machine();
      assert.ok(await setup.takes(job));
      await setup.succeeds('revoke --everything --yes');
      for (const token of [...all.map(({ tokens }) => tokens['access_token']), job]) await setup.untilRefused(token);
      for (const one of all) assert.deepEqual(await left(one), [false, false, false]);
      assert.deepEqual(await left(await holder()), [true, true, true]);
      assert.ok(await setup.takes(await machine()));
    });
  });
}

describe('The command latchkey revoke', () => {
  const KINDS = '--account, --client, --issuer, --session, --token, --everything';
  const misunderstood: Record<string, string> = {
    '': `revoke needs one of ${KINDS}`,
    '--account a@example.com --client b': 'revoke takes only one of --account and --client: run it once for each',
    '--session x --before 1h': '--before cannot be combined with --session',
    '--everything --before soon': '--before "soon" must be a time such as 2026-01-31T12:00:00Z, or how long ago',
    '--everything --before 2026-02-30x': '--before "2026-02-30x" must be a time such as',
    '--everything --before 2996-01-31': '--before "2996-01-31" must be in the past',
    '--acount a@example.com': 'revoke has no option --acount (did you mean --account?)',
    'demo-notes': 'revoke does not take "demo-notes"',
  };
  for (const [line, message] of Object.entries(misunderstood)) {
    it(`The program rejects "revoke ${line}" with the reason and exit code 2`, async () => {
      const { code, out, err } = await command(['revoke', ...line.split(' ').filter(Boolean)]);
      assert.deepEqual([code, out], [2, '']);
      assert.ok(err.includes(message), err);
    });
  }
});
