import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inNewBrowser } from '../account-pages/people.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { refresh, tokenRequest } from '../support/flows.ts';
import { apiOf } from '../support/tokens.ts';
import { startApiSetup, type ApiSetup } from './api-setup.ts';

const FIRST = { JOB_SECRET: 'first-secret-k3F9s0QzP1x7Yt5Vb2Lm8Nc4Rd6Wg0HjAeUiOoSaTzE' };

for (const backend of serverStores) {
  describe(`The command latchkey clients beside an API and two nodes on ${backend.name}`, function () {
    this.timeout(60_000);
    let setup: ApiSetup;
    let directory: string;
    beforeEach(async () => {
      setup = await startApiSetup(backend);
      directory = mkdtempSync(join(tmpdir(), 'latchkey-cli-'));
      const api = apiOf(setup.nodes.issuer);
      writeFileSync(
        join(directory, 'job.yaml'),
        `client_id: job
client_name: Nightly job
type: machine
secret: { env: JOB_SECRET }
scopes: ['notes:read']
resources: ['${api}']
default_resource: '${api}'
`,
      );
    });
    afterEach(async () => {
      await setup.stop();
      rmSync(directory, { recursive: true });
    });

    const addJob = (): Promise<string> => setup.succeeds(`clients add ${directory}/job.yaml`, { environment: FIRST });

    /** Asks the other node. @returns the access token, or what the error is */
    async function ask(client: string, secret: string): Promise<string> {
      const parameters = { grant_type: 'client_credentials', scope: 'notes:read' };
      const { body } = await tokenRequest(setup.nodes.origins[1], parameters, `${client}:${secret}`);
      return String(body['access_token'] ?? body['error']);
    }

    const isGood = async (secret: string): Promise<boolean> => {
      const answer = await ask('job', secret);
      assert.ok(answer === 'invalid_client' || answer.startsWith('ey'), answer);
      return answer !== 'invalid_client';
    };

    it('"clients disable" revokes the tokens of a configured client, and enable allows new ones', async () => {
      const { issuer, origins } = setup.nodes;
      const notes = await inNewBrowser(issuer);
      const photos = await inNewBrowser(issuer, { browser: notes.browser, clientId: 'demo-photos' });
      const tokens = { ...notes.tokens };
      assert.ok(await setup.takes(tokens['access_token']));
      assert.match(
        await setup.succeeds('clients disable demo-notes'),
        /^disabled client "demo-notes": it gets no tokens, and its tokens are revoked\n {2}- APIs that follow the status events refuse the access tokens within 1s/,
      );
      await setup.untilRefused(tokens['access_token']);
      for (const node of origins) {
        const { body } = await refresh(node, tokens['refresh_token']);
        assert.equal(body['error'], 'invalid_client');
      }
      assert.ok(await setup.takes(photos.tokens['access_token']));
      assert.match(await setup.succeeds('clients list'), /^demo-notes +spa +Notes +configuration, disabled$/m);

      assert.equal(
        await setup.succeeds('clients enable demo-notes'),
        'client "demo-notes" is enabled: it can get tokens again\n',
      );
      assert.equal(await setup.succeeds('clients enable demo-notes'), 'client "demo-notes" was not disabled\n');
      assert.equal((await refresh(origins[1], tokens['refresh_token'])).body['error'], 'invalid_grant');
      assert.ok(!(await setup.takes(tokens['access_token'])));
      assert.ok(await setup.takes((await inNewBrowser(issuer, { browser: notes.browser })).tokens['access_token']));
    });

    it('"clients roll-secret" keeps the previous secret valid until the next roll', async () => {
      await addJob();
      const token = await ask('job', FIRST.JOB_SECRET);
      const { out, err } = await setup.latchkey('clients roll-secret job');
      const second = out.trim();
      assert.match(second, /^[\w-]{43}$/);
      assert.equal(
        err,
        'this is the new secret of client "job"; it is not shown again\n' +
          'the previous secret stays valid until the next roll; if it has leaked, roll with --now\n',
      );
      assert.deepEqual([await isGood(FIRST.JOB_SECRET), await isGood(second)], [true, true]);
      const third = (await setup.succeeds('clients roll-secret job')).trim();
      assert.deepEqual(
        [await isGood(FIRST.JOB_SECRET), await isGood(second), await isGood(third)],
        [false, true, true],
      );
      assert.ok(await setup.takes(token));
    });

    it('"clients roll-secret --now" revokes the leaked secret and everything that it opened', async () => {
      await addJob();
      const token = await ask('job', FIRST.JOB_SECRET);
      const others = await ask('demo-service', 'demo-service-secret');
      assert.ok(await setup.takes(token));
      const second = (await setup.succeeds('clients roll-secret job --now')).trim();
      await setup.untilRefused(token);
      assert.deepEqual([await isGood(FIRST.JOB_SECRET), await isGood(second)], [false, true]);
      assert.ok(await setup.takes(await ask('job', second)));
      assert.ok(await setup.takes(others));
    });

    it('"clients remove" revokes all tokens of the client', async () => {
      await addJob();
      const token = await ask('job', FIRST.JOB_SECRET);
      assert.ok(await setup.takes(token));
      await setup.succeeds('clients remove job');
      await setup.untilRefused(token);
    });

    it('"latchkey clients" explains what to do about a client that it cannot change', async () => {
      const cases: Record<string, RegExp> = {
        'roll-secret demo-web':
          /"demo-web" is defined in the configuration: in the demo, move its secret to previous_secret, .*"latchkey revoke --client demo-web"/,
        'roll-secret nobody': /there is no client "nobody" in /,
        'disable nobody': /there is no client "nobody" in the configuration or in .*"latchkey clients list" shows all/,
        'enable nobody': /there is no client "nobody" in the configuration or in/,
        'remove demo-web': /remove it from the demo, restart the server, and run "latchkey revoke --client demo-web"/,
      };
      for (const [line, message] of Object.entries(cases)) {
        const { code, out, err } = await setup.latchkey(`clients ${line}`);
        assert.deepEqual([code, out], [1, '']);
        assert.match(err, message);
      }
    });
  });
}
