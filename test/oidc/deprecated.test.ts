import assert from 'node:assert/strict';
import type { Client } from '../../src/clients/clients.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { keyspace, type Index } from '../../src/storage/store.ts';
import { WorkingDirectory, type Process } from '../cli/latchkey.ts';
import { freePort } from '../support/free-port.ts';

const clientKey = keyspace<Client>('client');
const everyClient: Index<Client> = 'clients';

const STORED: Client = {
  client_id: 'stored-page',
  client_name: 'Stored page',
  type: 'spa',
  profile: 'legacy',
  redirect_uris: ['https://app.example/callback'],
  post_logout_redirect_uris: [],
  allowed_origins: [],
  scopes: ['openid'],
  resources: [],
  first_party: false,
  id_token_signing_alg: 'ES256',
  introspection: false,
};

describe('Clients with deprecated grant types or response types', () => {
  const directory = new WorkingDirectory();
  let running: Process;
  before(async () => {
    const store = await openStore(`sqlite:${directory.path}/store.db`, systemClock);
    const clients: Client[] = [
      { ...STORED, response_types: ['code', 'id_token token'] },
      { ...STORED, client_id: 'stored-sound', response_types: ['code'] },
      { ...STORED, client_id: 'stored-beyond', response_types: ['code id_token'] },
    ];
    for (const client of clients) await store.set(clientKey(client.client_id), client, { indexes: [everyClient] });
    await store.close();
    const port = await freePort();
    directory.write(
      'latchkey.yaml',
      `issuer: http://localhost:${port}
listen: { port: ${port} }
stores: { grants: 'sqlite:store.db' }
log: { format: json }
deprecated: { response_types: ['id_token token'] }
clients:
  - client_id: old-site
    client_name: Old site
    type: web
    profile: legacy
    first_party: true
    secret: { env: OLD }
    redirect_uris: [https://old.example/callback]
    grant_types: [authorization_code, password]
    response_types: [code, 'code token']
  - { client_id: sound, client_name: Sound, type: machine, secret: { env: OLD } }
`,
    );
    running = directory.start(['start'], { OLD: 'the-secret-of-the-old-and-the-sound' });
    await running.printed(/"ready"/);
  });
  after(async () => {
    running.kill('SIGTERM');
    await running.ended;
    directory.remove();
  });

  it('The log names each configured or stored client with deprecated grant or response types at the start', async () => {
    const [configured] = await running.printed(/"level":40[^\n]*"client":"old-site","uses":(\[[^\]]*\])/, 1);
    assert.deepEqual(JSON.parse(configured ?? ''), ['grant type password', 'response type code token']);
    const [stored] = await running.printed(/"level":40[^\n]*"client":"stored-page","uses":(\[[^\]]*\])/, 1);
    assert.deepEqual(JSON.parse(stored ?? ''), ['response type id_token token']);
    const [beyond] = await running.printed(/"client":"stored-beyond","fault":"([^"]*)"/, 1);
    assert.match(beyond ?? '', /response_types/);
    const named = await running.printed(/"client":"([^"]*)","uses"/, 2);
    assert.deepEqual(named.toSorted(), ['old-site', 'stored-page']);
  });
});
