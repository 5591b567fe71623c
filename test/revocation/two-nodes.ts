import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import {
  AccessRefused,
  createVerifier,
  InvalidToken,
  type TokenFault,
} from '../../src/resource-server/resource-server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { Operations } from '../../src/revocation/operations.ts';
import { openStores, type Stores } from '../../src/storage/open-stores.ts';
import { newPlace, type Place } from '../durability/command.ts';
import { startLogoutReceiver, type LogoutReceiver } from '../oidc/logout-receiver.ts';
import type { Backend } from '../storage/backends.ts';
import { attachTo, type Attachment } from '../support/attach.ts';
import { besides, command } from '../support/command.ts';
import { domainOn } from '../support/domain.ts';
import { freePort } from '../support/free-port.ts';
import { startTestServer, type TestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

/** The `ttl` of status lists here, in seconds. */
export const TTL = 4;

/** With what is wrong with it, where it is refused. */
export type Answer = 'accepted' | 'unavailable' | `refused: ${TokenFault}`;

export interface Api {
  readonly name: string;
  readonly hasStream: boolean;
  answerTo(token: string): Promise<Answer>;
  close(): Promise<void>;
}

/** Two nodes on one store, and APIs that reach one node or the other, with the event stream and without. */
export interface RevocationSetup {
  readonly issuer: string;
  readonly place: Place;
  readonly nodes: readonly [Attachment, Attachment];
  readonly apis: readonly Api[];
  readonly receiver: LogoutReceiver;
  /** As a command has them. */
  readonly operations: Operations;
  readonly stores: Stores;
  /** Runs a command beside the server; it has to succeed. @returns what it printed */
  command(...line: string[]): Promise<string>;
  restart(at: 0 | 1): Promise<void>;
  close(): Promise<void>;
}

/** @param change what the demo's configuration is made into; logout tokens go to an app at `logoutUri` */
export async function startRevocationSetup(
  backend: Backend,
  change: (config: Config, logoutUri: string) => Config,
): Promise<RevocationSetup> {
  const [store, receiver] = await Promise.all([backend.start(), startLogoutReceiver()]);
  const place = await newPlace(store.url);
  const ports = [place.port, await freePort()] as const;
  const start = (port: number): Promise<TestServer> =>
    startTestServer({
      store: store.url,
      sameAs: place,
      port,
      change: (config) => ({
        ...change(config, receiver.uri),
        status_lists: { ttl: TTL },
        outgoing: { allow: [receiver.host] },
      }),
    });
  const servers: [TestServer, TestServer] = [await start(ports[0]), await start(ports[1])];
  const { config } = servers[0];
  const stores = await openStores(config.stores, systemClock);
  const nodes = [attachTo(ports[0]), attachTo(ports[1])] as const;
  const apis = apisOf(place.issuer, ports);
  return {
    issuer: place.issuer,
    place,
    nodes,
    apis,
    receiver,
    stores,
    operations: domainOn(stores, config).operations,
    async command(...line) {
      const { code, out, err } = await command(line, { environment: besides(place) });
      assert.equal(code, 0, out + err);
      return out;
    },
    async restart(at) {
      await servers[at].close();
      servers[at] = await start(ports[at]);
    },
    async close() {
      for (const one of [...apis, ...nodes, stores, ...servers, receiver]) await one.close();
      await place.remove();
      await store.stop();
    },
  };
}

/** One at each node with the stream and without, and one that a load balancer leads from one to the other. */
function apisOf(issuer: string, [one, other]: readonly [number, number]): Api[] {
  return [
    newApi(issuer, 'at node 0 with the stream', attachTo(one), true),
    newApi(issuer, 'at node 0 without the stream', attachTo(one), false),
    newApi(issuer, 'at node 1 with the stream', attachTo(other), true),
    newApi(issuer, 'at node 1 without the stream', attachTo(other), false),
    newApi(issuer, 'with lists of node 0 and the stream of node 1', attachTo(one, other), true),
  ];
}

function newApi(issuer: string, where: string, attachment: Attachment, hasStream: boolean): Api {
  const verifier = attachment.run(() =>
    createVerifier({ issuer, audience: apiOf(issuer), status: { check: 'required', push: hasStream } }),
  );
  return {
    name: `the API ${where}`,
    hasStream,
    answerTo: (token) =>
      attachment.run(() =>
        verifier.verify(token).then(
          () => 'accepted',
          (error: unknown) => {
            if (error instanceof InvalidToken) return `refused: ${error.fault}` as const;
            if (error instanceof AccessRefused) return 'unavailable';
            throw error;
          },
        ),
      ),
    async close() {
      verifier.close();
      await attachment.close();
    },
  };
}
