import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { Provider } from 'oidc-provider';
import { openClients, type Clients } from '../../../src/clients/clients.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { systemRandom } from '../../../src/lib/random.ts';
import { engineOverrides } from '../../../src/oidc/engine-overrides.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { StoreUnavailable } from '../../../src/storage/store.ts';
import { certificateFor, selfSignedCertificate } from '../../support/certificate.ts';
import { startTestServer, type TestServer } from '../../support/server.ts';
import { clientKey } from '../../support/signed-request.ts';
import { storesAround } from '../../support/stores-around.ts';
import { recordsOf } from '../behind-the-server.ts';
import { startLogoutReceiver, type LogoutReceiver } from '../logout-receiver.ts';
import { withProbedClients } from './probed-clients.ts';

type Row = (typeof engineOverrides)[number];

/** A server with everything turned on that a row of the table is for. */
export interface ProbedServer {
  readonly issuer: string;
  readonly provider: Provider;
  readonly receiver: LogoutReceiver;
  /** The pings that came to the till. */
  readonly pings: unknown[];
  /** Answers pings from now on. */
  answerPings(status: number): void;
  /** Has the store fail for the calls that this names. */
  failWhere(fails: (verb: string, given: readonly unknown[]) => boolean): void;
  /** Changes the clients of the store, behind the server's back. */
  changeClients(change: (clients: Clients) => Promise<unknown>): Promise<void>;
  /** Counts the logout tokens that the store keeps for apps that have not taken them. */
  waitingLogouts(): Promise<number>;
  readonly config: TestServer['config'];
  close(): Promise<void>;
}

export const key = await clientKey();

/** @param row the one to leave out */
export async function startProbed(row?: Row): Promise<ProbedServer> {
  const outside = await startOutside();
  let fails: (verb: string, given: readonly unknown[]) => boolean = () => false;
  const { openStores } = storesAround((call, verb, given) =>
    fails(verb, given) ? Promise.reject(new StoreUnavailable('as the test wants it')) : call(),
  );
  const engine = await withTable(row, () =>
    startTestServer({ openStores, change: (config) => withProbedClients(config, { ...outside, key }) }),
  );
  const { started: server, provider } = engine;
  return {
    ...outside,
    issuer: server.issuer,
    config: server.config,
    provider,
    failWhere(next) {
      fails = next;
    },
    async changeClients(change) {
      const records = await recordsOf(server);
      try {
        const sealingKey = () => Promise.reject(new Error('there is none'));
        await change(openClients({ records, configured: [], random: systemRandom, sealingKey }));
      } finally {
        await records.close();
      }
    },
    async waitingLogouts() {
      const store = await openStore(server.config.stores.grants, systemClock);
      try {
        return (await store.members('logout-deliveries')).keys.length;
      } finally {
        await store.close();
      }
    },
    async close() {
      await server.close();
      await outside.close();
    },
  };
}

/** Starts something while the table lacks a row, and gets hold of the provider by a row of its own. */
async function withTable<Started>(row: Row | undefined, start: () => Promise<Started>) {
  const table = engineOverrides as Row[];
  const all = [...table];
  let provider: Provider | undefined;
  const spy: Row = {
    ...{ owner: 'event', method: 'nothing', arity: 0, why: '' },
    install(_engine, parts) {
      provider = parts.provider;
      return undefined;
    },
  };
  if (row !== undefined) table.splice(table.indexOf(row), 1);
  table.push(spy);
  try {
    const started = await start();
    if (provider === undefined) throw new Error('the table was not installed');
    return { started, provider };
  } finally {
    table.splice(0, table.length, ...all);
  }
}

/** What the server calls: an app that is told of logouts, one that is pinged, and one that shows its keys. */
async function startOutside() {
  const receiver = await startLogoutReceiver();
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-probes-'));
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, certificateFor({ name: [['CN', 'Client CA']], isAuthority: true }).cert);
  const keys = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(key.jwks));
  }).listen(0, '127.0.0.1');
  const certificate = selfSignedCertificate();
  const authorities = getCACertificates('default');
  setDefaultCACertificates([...authorities, certificate.cert]);
  const pings: unknown[] = [];
  let answer = 204;
  const till = createTlsServer(certificate, (request, response) => {
    pings.push(request.headers.authorization);
    response.writeHead(answer, { connection: 'close' }).end();
  }).listen(0, 'localhost');
  await Promise.all([once(keys, 'listening'), once(till, 'listening')]);
  return {
    receiver,
    ca,
    pings,
    answerPings(status: number) {
      answer = status;
    },
    keysUri: `http://127.0.0.1:${(keys.address() as AddressInfo).port}/keys`,
    pingUri: `https://localhost:${(till.address() as AddressInfo).port}/ping`,
    async close() {
      setDefaultCACertificates(authorities);
      keys.close();
      till.close();
      await receiver.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
