import assert from 'node:assert/strict';
import type { Config } from '../../src/config/schema.ts';
import { freshToken, privateKeysIn } from '../support/softhsm.ts';
import { Load } from './load.ts';
import { Readers } from './readers.ts';
import { startTwoNodes, type TwoNodes } from './two-nodes.ts';

const CONNECTIONS = 32;
const ROTATIONS = 60;
const MINUTE = 60_000;

/**
 * Faster than a configuration may ask for, but announced as it demands: for longer than `/jwks` is kept and clocks
 * differ. Nodes look at the ring every second; keys that sign for a little less are due at each look. The clocks are one,
 * so their difference is what writing a key may take on a busy machine.
 */
const EVERY_SECOND = { algorithms: ['ES256' as const], sign: 0.9, announce: 13, clock_skew: 10, jwks_max_age: 1 };

type Keys = typeof EVERY_SECOND & Partial<Config['keys']>;

describe('Signing keys that rotate every second in two processes on Redis under 32 connections', function () {
  this.timeout(10 * MINUTE);
  let server: TwoNodes;
  afterEach(() => server.stop());

  async function start(keys: Keys): Promise<{ load: Load; readers: Readers }> {
    server = await startTwoNodes({ keys });
    const readers = new Readers(server.place.issuer, server.nodes, keys.jwks_max_age);
    const load = new Load(readers);
    await load.signIn(server, CONNECTIONS);
    return { load, readers };
  }

  it('Sixty key rotations in a minute fail no request and no reader of /jwks', async () => {
    const { load, readers } = await start(EVERY_SECOND);
    const began = performance.now();
    const print = (): void => {
      const counts = [
        `${load.requests} requests`,
        `${readers.verified} tokens verified`,
        `${readers.rotations} rotations`,
      ];
      console.log(`      ${Math.round((performance.now() - began) / 1000)} s: ${counts.join(', ')}`);
    };
    const progress = setInterval(print, 10_000);
    await load
      .run(() => load.faults.length > 0 || (readers.rotations >= ROTATIONS && performance.now() - began >= MINUTE))
      .finally(() => {
        clearInterval(progress);
      });
    print();
    assert.deepEqual(load.faults, []);
    await load.lookBack();
  });

  it('Key rotations in an HSM fail no request and no reader of /jwks', async () => {
    const token = freshToken();
    const { load, readers } = await start({ ...EVERY_SECOND, signer: 'pkcs11', pkcs11: token });
    await load.run(() => load.faults.length > 0 || readers.rotations >= ROTATIONS);
    assert.deepEqual(load.faults, []);
    await load.lookBack();
    // Those that sign, are announced or retired within `clock_skew`: what came before is destroyed.
    assert.ok((await privateKeysIn(token)).length < ROTATIONS - EVERY_SECOND.announce);
  });

  it('Readers of /jwks fail if keys are not announced for as long as they may cache it', async () => {
    const { load, readers } = await start({ ...EVERY_SECOND, announce: 0, jwks_max_age: 2 });
    await load.run(() => load.faults.length > 0 || readers.rotations >= ROTATIONS);
    assert.match(load.faults[0] ?? '', /no applicable key found in the JSON Web Key Set/);
  });
});
