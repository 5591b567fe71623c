import { readFileSync } from 'node:fs';
import { Client, type ClientConfig, type Notification } from 'pg';
import { isLocal, type PostgresUrl, type StoreNode } from '../../config/store-url.ts';
import { codeOf } from '../../lib/file-system.ts';
import { PATIENCE } from './errors.ts';

/** Options of every connection to a server. */
export function connectionOptions(url: PostgresUrl, node: StoreNode): ClientConfig {
  const { host, port } = node;
  return {
    host,
    port,
    user: url.username,
    // Without a password, the client would look for one in the environment and in files.
    password: url.password ?? '',
    database: url.database,
    ssl: tlsOptions(url, node),
    application_name: 'latchkey',
    connectionTimeoutMillis: PATIENCE,
    query_timeout: PATIENCE,
    keepAlive: true,
  };
}

function tlsOptions(url: PostgresUrl, node: StoreNode): ClientConfig['ssl'] {
  const { sslrootcert, sslmode = isLocal(node) ? 'disable' : 'verify-full' } = url;
  if (sslmode === 'disable') return false;
  const ca = sslrootcert === undefined ? {} : { ca: readAuthorities(sslrootcert) };
  if (sslmode === 'verify-full') return { ...ca, rejectUnauthorized: true };
  if (sslmode === 'verify-ca') return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
  return { rejectUnauthorized: false };
}

function readAuthorities(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`sslrootcert in the store URL, ${path}, cannot be read (${codeOf(error)})`, { cause: error });
  }
}

/** Opens one connection. It ignores later errors, because the next statement or the `end` event reports them. */
export async function connected(options: ClientConfig, onNotice?: (notice: Notification) => void): Promise<Client> {
  const client = new Client(options);
  client.on('error', () => undefined);
  if (onNotice !== undefined) client.on('notification', onNotice);
  await client.connect();
  return client;
}
