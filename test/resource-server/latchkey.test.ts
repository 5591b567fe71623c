import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeProtectedHeader } from 'jose';
import { createVerifier, InvalidToken, StatusUnavailable } from '../../src/resource-server/resource-server.ts';
import type { TokenFault, Verifier } from '../../src/resource-server/resource-server.ts';
import { tokensOfClient } from '../../src/status/token-indexes.ts';
import { serverStores } from '../oidc/server-stores.ts';
import { startTwoNodes } from '../status/two-nodes.ts';
import type { TwoNodes } from '../status/two-nodes.ts';
import { tokensFor } from '../support/flows.ts';
import { keysCommand } from '../support/keys-command.ts';
import { MachineTime } from '../support/machine-time.ts';
import { startTestServer } from '../support/server.ts';
import { apiOf } from '../support/tokens.ts';

/** Seconds, as configured: the bound without the stream. */
const TTL = 3;
/** For a token to be refused at all, in milliseconds. */
const PATIENCE = 60_000;
/** Seconds by which a busy machine may be late to ask, besides. */
const BUSY = 0.5;

for (const backend of serverStores) {
  describe(`APIs of two servers on ${backend.name}`, function () {
    this.timeout(60_000);
    let two: TwoNodes;
    let listening: Verifier;
    let polling: Verifier;

    before(async () => {
      two = await startTwoNodes(backend, (config) => ({ ...config, status_lists: { ttl: TTL } }));
    });
    after(() => two.stop());
    beforeEach(() => {
      const options = { issuer: two.issuer, audience: apiOf(two.issuer) };
      listening = createVerifier({ ...options, status: { check: 'required' } });
      polling = createVerifier({ ...options, status: { check: 'required', push: false } });
    });
    afterEach(() => {
      listening.close();
      polling.close();
    });

    const personsToken = async (): Promise<string> => {
      const { access_token } = await tokensFor(two.issuer, { parameters: { scope: 'openid notes:read' } });
      return access_token ?? '';
    };

    async function accept(token: string): Promise<void> {
      for (const verifier of [listening, polling]) await verifier.verify(token);
    }

    /** Seconds of this process until it is refused, with requests all the time. */
    async function untilRefused(verifier: Verifier, token: string, fault: TokenFault): Promise<number> {
      using machine = new MachineTime();
      const from = performance.now();
      while (performance.now() - from < PATIENCE) {
        try {
          await verifier.verify(token);
        } catch (error) {
          assert.ok(error instanceof InvalidToken && error.fault === fault, String(error));
          return (performance.now() - from - machine.lost) / 1000;
        }
        await sleep(10);
      }
      return assert.fail('the token is still accepted');
    }

    it('The APIs refuse a revoked token within a second by the stream, and within the ttl without it', async () => {
      const [machine, person] = [await two.machineToken(), await personsToken()];
      await accept(machine);
      await accept(person);
      // The stream says once a second that it has told everything.
      await sleep(1500);
      await two.revoker.revokeMembers([tokensOfClient('demo-service')]);
      const [pushed, polled] = await Promise.all([
        untilRefused(listening, machine, 'revoked'),
        untilRefused(polling, machine, 'revoked'),
      ]);
      assert.ok(pushed <= 1 + BUSY, `${pushed} s with the stream`);
      assert.ok(polled <= TTL + BUSY, `${polled} s without`);
      await accept(person);
      await accept(await two.machineToken());
    });

    it('An API with the stream refuses a token of a revoked key within a second', async () => {
      const token = await personsToken();
      await accept(token);
      await sleep(1500);
      await keysCommand(
        { ...two.nodes[0], store: two.store },
        'revoke',
        '--yes',
        '--',
        decodeProtectedHeader(token).kid ?? '',
      );
      assert.ok((await untilRefused(listening, token, 'unknown_key')) <= 1 + BUSY);
      await listening.verify(await personsToken());
    });
  });
}

describe('APIs whose server has stopped', () => {
  it('The APIs report an unknown status after the ttl, unless their owner lets them accept tokens for longer', async () => {
    await using server = await startTestServer({ change: (config) => ({ ...config, status_lists: { ttl: TTL } }) });
    const { issuer } = server;
    const api = { issuer, audience: apiOf(issuer) };
    const listening = createVerifier(api);
    const polling = createVerifier({ ...api, status: { push: false } });
    const lenient = createVerifier({ ...api, status: { whenUnreachable: { acceptFor: 600 } } });
    try {
      const { access_token: token = '' } = await tokensFor(issuer, { parameters: { scope: 'openid notes:read' } });
      for (const verifier of [listening, polling, lenient]) await verifier.verify(token);
      await server.close();
      await sleep(TTL * 1000);
      for (const verifier of [listening, polling]) await assert.rejects(verifier.verify(token), StatusUnavailable);
      await lenient.verify(token);
    } finally {
      for (const verifier of [listening, polling, lenient]) verifier.close();
    }
  });
});
