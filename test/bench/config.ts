import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export const PEOPLE_PASSWORD = 'correct horse battery bench';
export const SECRET = 'a secret of the bench, long enough for a machine';
/** The default, named here because the floor hashes alike. */
export const passwordCost = { memory_kib: 19_456, passes: 2, parallelism: 1 };

/** Several, since parallel attempts at one account are held up. */
export const people = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => ({
  email: `person-${number}@example.com`,
  password: PEOPLE_PASSWORD,
}));

/** Writes what the server is measured with: its master key, and a configuration of defaults with clients for every row. */
export async function writeConfig(
  directory: string,
  { port, store }: { port: number; store: string },
): Promise<string> {
  const apis = { ES256: 'https://api.bench.example', RS256: 'https://rsa-api.bench.example' };
  const secret = { env: 'BENCH_SECRET' };
  const config = {
    issuer: issuerAt(port),
    listen: { host: '127.0.0.1', port },
    stores: { grants: store },
    keys_dir: join(directory, 'keys'),
    passwords: { argon2: passwordCost },
    resources: Object.entries(apis).map(([alg, identifier]) => ({
      identifier,
      name: `An API with ${alg}`,
      signing_alg: alg,
      scopes: { 'notes:read': { description: 'Read your notes' } },
    })),
    clients: [
      machine('service-ES256', apis.ES256, secret),
      machine('service-RS256', apis.RS256, secret),
      // Named as the demo's, whose flows the tests know.
      {
        client_id: 'demo-notes',
        client_name: 'A single-page app',
        type: 'spa',
        first_party: true,
        redirect_uris: [redirectUriOf(port)],
        scopes: ['openid', 'profile', 'email', 'roles', 'notes:read'],
        resources: [apis.ES256],
        default_resource: apis.ES256,
      },
      {
        client_id: 'gateway',
        client_name: 'An API that asks',
        type: 'machine',
        secret,
        scopes: [],
        introspection: true,
      },
    ],
    accounts: people.map(({ email }) => ({ email, name: 'A person', password: { env: 'BENCH_PASSWORD' } })),
  };
  await mkdir(config.keys_dir);
  await writeFile(join(config.keys_dir, 'master.key'), randomBytes(32).toString('base64url'), { mode: 0o600 });
  const file = join(directory, 'latchkey.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config, undefined, 2));
  return file;
}

export function issuerAt(port: number): string {
  return `http://127.0.0.1:${port}`;
}

/** Where `authorizationRequest` of the tests expects the app. */
function redirectUriOf(port: number): string {
  return `http://localhost:${port + 1}/callback`;
}

function machine(client_id: string, api: string, secret: object): object {
  return {
    client_id,
    client_name: 'A service',
    type: 'machine',
    secret,
    scopes: ['notes:read'],
    resources: [api],
    default_resource: api,
  };
}
