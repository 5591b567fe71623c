import assert from 'node:assert/strict';
import type { Client } from '../../src/clients/clients.ts';
import type { Config } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { keyspace, type Index } from '../../src/storage/store.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { Browser } from '../support/browser.ts';
import { authorizationRequest, tokenRequest } from '../support/flows.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer } from '../support/server.ts';

/** What the configuration's own checks would not let through: the engine's word counts too. */
const FAULTY_URI = 'https://app.example/callback#fragment';
const SOUND_URI = 'https://app.example/callback';
const FAULT = 'redirect_uris must not contain fragments';

const clientKey = keyspace<Client>('client');
const everyClient: Index<Client> = 'clients';

const stored = (client_id: string, redirect_uris: string[]): Client => ({
  client_id,
  client_name: 'Stored',
  type: 'spa',
  redirect_uris,
  post_logout_redirect_uris: [],
  allowed_origins: [],
  scopes: ['openid'],
  resources: [],
  first_party: false,
  id_token_signing_alg: 'ES256',
  introspection: false,
});

describe('A client that the engine refuses', () => {
  it('stops the start when it is of the configuration, and is named with its fault', async () => {
    const change = (config: Config): Config => ({
      ...config,
      clients: config.clients.map((one) =>
        one.client_id === 'demo-photos' ? { ...one, redirect_uris: [...one.redirect_uris, FAULTY_URI] } : one,
      ),
    });
    await assert.rejects(startTestServer({ change }), { message: `client "demo-photos" cannot be used: ${FAULT}` });
  });

  describe('of the store', () => {
    const directory = new WorkingDirectory();
    let running: Process;
    let issuer: string;
    before(async () => {
      const store = await openStore(`sqlite:${directory.path}/store.db`, systemClock);
      // More than one page of the index.
      for (let count = 0; count < 150; count += 1) {
        const client = stored(`sound-${count}`, [SOUND_URI]);
        await store.set(clientKey(client.client_id), client, { indexes: [everyClient] });
      }
      for (const id of ['a-faulty', 'z-faulty'])
        await store.set(clientKey(id), stored(id, [SOUND_URI, FAULTY_URI]), { indexes: [everyClient] });
      await store.close();
      issuer = `http://localhost:${await freePort()}`;
      directory.write(
        'latchkey.yaml',
        `issuer: ${issuer}
listen: { port: ${new URL(issuer).port} }
stores: { grants: 'sqlite:store.db' }
log: { format: json }
clients:
  - { client_id: own, client_name: Own, type: machine, secret: { env: OWN } }
`,
      );
      running = directory.start(['start'], { OWN: 'the-secret-of-own' });
      await running.printed(/"ready"/);
    });
    after(async () => {
      running.kill('SIGTERM');
      await running.ended;
      directory.remove();
    });

    it('is named in the log with its fault, wherever in the store it is, and no sound one is', async () => {
      const named = await running.printed(/"client":"([^"]*)","fault":"[^"]*fragments"/, 2);
      assert.deepEqual(named.toSorted(), ['a-faulty', 'z-faulty']);
    });

    it('is refused without an error of the server, and the others work', async () => {
      const asked = async (client_id: string): Promise<number> => {
        const { url } = authorizationRequest(issuer, client_id, { redirect_uri: SOUND_URI, scope: 'openid' });
        return (await new Browser().request(url)).status;
      };
      assert.deepEqual([await asked('z-faulty'), await asked('sound-149')], [400, 303]);
      const { body } = await tokenRequest(issuer, { grant_type: 'client_credentials' }, 'own:the-secret-of-own');
      assert.equal(body['token_type'], 'Bearer', JSON.stringify(body));
    });
  });
});
