import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto';
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

const PAIRS = {
  short: generateKeyPairSync('rsa', { modulusLength: 1024 }),
  sound: generateKeyPairSync('rsa', { modulusLength: 2048 }),
};
const jwkOf = (kid: keyof typeof PAIRS) => ({
  ...(PAIRS[kid].publicKey.export({ format: 'jwk' }) as { kty: 'RSA' }),
  kid,
});
const KEYED = { 'short-only': [jwkOf('short')], 'short-and-sound': [jwkOf('short'), jwkOf('sound')] };
const machine = (client_id: string): Client => ({
  ...stored(client_id, []),
  type: 'machine',
  scopes: [],
  token_endpoint_auth_method: 'private_key_jwt',
});

/** An assertion (RFC 7523 §2.2), signed by hand: libraries refuse such keys. */
function signed(id: string, aud: string, kid: keyof typeof PAIRS): string {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const header = { alg: 'RS256', kid };
  const claims = { iss: id, sub: id, aud, jti: randomUUID(), iat: exp - 60, exp };
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${sign('sha256', Buffer.from(text), PAIRS[kid].privateKey).toString('base64url')}`;
}

describe('Clients that the engine refuses', () => {
  it('A faulty client in the configuration stops the start with an error that names the fault', async () => {
    const change = (config: Config): Config => ({
      ...config,
      clients: config.clients.map((one) =>
        one.client_id === 'demo-photos' ? { ...one, redirect_uris: [...one.redirect_uris, FAULTY_URI] } : one,
      ),
    });
    await assert.rejects(startTestServer({ change }), { message: `client "demo-photos" cannot be used: ${FAULT}` });
  });

  describe('In the store', () => {
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
      // Stored before the server looked at keys.
      for (const [id, keys] of Object.entries(KEYED))
        await store.set(clientKey(id), { ...machine(id), jwks: { keys } }, { indexes: [everyClient] });
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
      running = directory.start(['start'], { OWN: 'the-secret-of-own-and-of-no-other' });
      await running.printed(/"ready"/);
    });
    after(async () => {
      running.kill('SIGTERM');
      await running.ended;
      directory.remove();
    });

    it('The log names each faulty client in the store, and no valid one', async () => {
      const named = await running.printed(/"client":"([^"]*)","fault":"[^"]*fragments"/, 2);
      assert.deepEqual(named.toSorted(), ['a-faulty', 'z-faulty']);
    });

    it('A client that has only weak keys cannot authenticate, and the log says why', async () => {
      assert.deepEqual(await proves('short-only', 'short'), [400, 'invalid_client_metadata']);
      const [fault = ''] = await running.printed(/"client":"short-only","fault":"([^"]*)"/);
      assert.match(fault, /jwks\.keys\[0\] must have 2048 to 8192 bits, and this one has 1024/);
    });

    it('A client that also has a strong key authenticates with that key only, and the log names the weak one', async () => {
      assert.deepEqual(await proves('short-and-sound', 'sound'), [200, undefined]);
      assert.deepEqual(await proves('short-and-sound', 'short'), [401, 'invalid_client']);
      const [named = ''] = await running.printed(/"client":"short-and-sound","keys":\["([^"]*)"/);
      assert.match(named, /jwks\.keys\[0\] must have 2048/);
    });

    /** Asks for a token with an assertion of a key. @returns the status and the error */
    async function proves(id: string, key: keyof typeof PAIRS): Promise<unknown[]> {
      const client_assertion = signed(id, issuer, key);
      const { status, body } = await tokenRequest(issuer, {
        grant_type: 'client_credentials',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion,
      });
      return [status, body['error']];
    }

    it('A faulty client receives an error response, and other clients still work', async () => {
      const asked = async (client_id: string): Promise<number> => {
        const { url } = authorizationRequest(issuer, client_id, { redirect_uri: SOUND_URI, scope: 'openid' });
        return (await new Browser().request(url)).status;
      };
      assert.deepEqual([await asked('z-faulty'), await asked('sound-149')], [400, 303]);
      const { body } = await tokenRequest(
        issuer,
        { grant_type: 'client_credentials' },
        'own:the-secret-of-own-and-of-no-other',
      );
      assert.equal(body['token_type'], 'Bearer', JSON.stringify(body));
    });
  });
});
