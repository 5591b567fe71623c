import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { setImmediate as nextRound } from 'node:timers/promises';
import { systemClock } from '../../src/lib/clock.ts';
import { Streams } from '../../src/status/streams.ts';
import { until } from '../support/until.ts';

const EVENT = 'x'.repeat(65_536);
/** More events than the machine's own buffers hold. */
const MANY = 1000;

describe('The memory of a status event stream', () => {
  it('The server closes an event stream whose reader does not read', async () => {
    const streams = new Streams(systemClock);
    let reader: ServerResponse | undefined;
    const server = createServer((_request, response) => {
      reader = response;
      streams.add(response, { blocks: [] }, '');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined).pause();
    socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
    try {
      await until(() => reader !== undefined);
      for (let told = 0; told < MANY && reader?.destroyed === false; told += 1) {
        streams.tell(EVENT);
        await nextRound();
      }
      assert.equal(reader?.destroyed, true);
    } finally {
      socket.destroy();
      server.closeAllConnections();
      server.close();
    }
  });
});
