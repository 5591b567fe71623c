import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { decodeProtectedHeader } from 'jose';
import { tokenRequest } from '../support/flows.ts';
import { keysCommand } from '../support/keys-command.ts';
import type { ServerProcess } from '../support/server-process.ts';
import { startTwoNodes, type TwoNodes } from './two-nodes.ts';

const REVOCATIONS = 20;
/** Half of what `announce` leaves beyond `jwks_max_age` and `clock_skew`, five minutes and one: how often nodes look, in seconds. */
const LOOK = 5;
const ANNOUNCE = 360 + 2 * LOOK;

describe('The speed of latchkey keys revoke beside two processes on Redis', function () {
  this.timeout(60_000);
  let server: TwoNodes;
  afterEach(() => server.stop());

  async function signerAt({ url }: ServerProcess): Promise<string> {
    const request = { grant_type: 'client_credentials', scope: 'notes:read' };
    const { status, body } = await tokenRequest(url, request, 'demo-service:demo-service-secret');
    assert.equal(status, 200, JSON.stringify(body));
    return decodeProtectedHeader(String(body['access_token'])).kid ?? '';
  }

  async function untilUnpublished({ url }: ServerProcess, kid: string): Promise<void> {
    const end = performance.now() + 60_000;
    while (performance.now() < end) {
      if (!(await (await fetch(`${url}/jwks`)).text()).includes(kid)) return;
      await sleep(2);
    }
    assert.fail('the key is still published');
  }

  /** @returns milliseconds until no node published the key that had signed, or signed with it */
  async function revokeSigner(): Promise<number> {
    const kid = await signerAt(server.nodes[0]);
    const start = performance.now();
    await keysCommand(server.place, 'revoke', '--yes', '--', kid);
    await Promise.all(server.nodes.map((node) => untilUnpublished(node, kid)));
    const took = performance.now() - start;
    for (const node of server.nodes) assert.notEqual(await signerAt(node), kid);
    return took;
  }

  async function revokeOften(times: number): Promise<number[]> {
    const took: number[] = [];
    while (took.length < times) took.push(await revokeSigner());
    return took.toSorted((a, b) => a - b);
  }

  const figures = (took: readonly number[]): string => {
    const [least = 0, median = 0, most = 0] = [0, took.length >> 1, took.length - 1].map((at) => took[at]);
    return `least ${least.toFixed()} ms, median ${median.toFixed()} ms, most ${most.toFixed()} ms`;
  };

  it('The notice of a revoked key makes two processes revoke it at once, though they poll only once a minute', async () => {
    server = await startTwoNodes();
    const took = await revokeOften(REVOCATIONS);
    console.log(`      from the command to the last node, ${REVOCATIONS} times: ${figures(took)}`);
  });

  it('Two processes revoke a signing key at their next poll if no notice can be sent', async () => {
    server = await startTwoNodes({ keys: { announce: ANNOUNCE } });
    const redis = new Redis(server.place.store);
    try {
      await redis.call('ACL', 'SETUSER', 'default', '-publish');
      await assert.rejects(redis.publish('any', ''), /NOPERM/);
    } finally {
      redis.disconnect();
    }
    const took = await revokeOften(4);
    console.log(`      looking every ${LOOK} s, ${took.length} times: ${figures(took)}`);
    // What comes on top is the command, and a busy machine.
    assert.ok((took.at(-1) ?? 0) < (LOOK + 3) * 1000);
  });
});
