import { generateKeyPairSync } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { SignJWT } from 'jose';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { setBit } from '../../src/status/bit-store.ts';
import { CAPACITY, newList } from '../../src/status/lists.ts';
import { SignedLists } from '../../src/status/signed-list.ts';
import { median } from './measure.ts';

/** What a list of a million live tokens takes of which one in a thousand was revoked. */
export interface Million {
  raw: number;
  published: number;
  /** Milliseconds from the change to the signed list, and the longest that it kept everything else waiting. */
  rebuilt: number;
  held: number;
}

const REBUILDS = 30;

/** Has the server's own parts rebuild it again and again, as after a revocation each time. */
export async function million(): Promise<Million> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signedLists = new SignedLists({
    sign: (claims) =>
      new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256', typ: 'statuslist+jwt' }).sign(privateKey),
    clock: systemClock,
    issuer: 'https://login.example.com',
    ttl: 10,
    uriOf: ({ id }) => `https://login.example.com/status/${id}`,
  });
  const list = { ...newList(systemClock.now(), systemRandom), bits: Buffer.alloc(CAPACITY / 8), changes: 0 };
  const revoke = (): void => setBit(list.bits, systemRandom.bytes(4).readUInt32LE() % CAPACITY);
  for (let at = 0; at < CAPACITY / 1000; at += 1) revoke();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const took: number[] = [];
  let published = 0;
  await signedLists.of(list);
  delay.enable();
  for (let at = 0; at < REBUILDS; at += 1) {
    revoke();
    list.changes += 1;
    const start = performance.now();
    published = (await signedLists.of(list)).token.length;
    took.push(performance.now() - start);
  }
  delay.disable();
  return { raw: list.bits.length, published, rebuilt: median(took), held: delay.max / 1e6 };
}
