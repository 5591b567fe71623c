import assert from 'node:assert/strict';
import { inflateSync } from 'node:zlib';
import { systemClock } from '../../src/lib/clock.ts';
import { setBit, isSet } from '../../src/status/bit-store.ts';
import { SignedLists } from '../../src/status/signed-list.ts';
import { until } from '../support/until.ts';

const IDX = 9;

describe('Signed status lists', () => {
  it('A list that is requested during a signing contains a revocation that happened after the signing began', async () => {
    const begun: PromiseWithResolvers<void>[] = [];
    const lists = new SignedLists({
      async sign(claims) {
        const gate: PromiseWithResolvers<void> = Promise.withResolvers();
        begun.push(gate);
        await gate.promise;
        return JSON.stringify(claims);
      },
      ...{ clock: systemClock, issuer: 'https://here.example', ttl: 10, uriOf: ({ id }) => id },
    });
    const list = { id: 'one', endsAt: Infinity, bits: Buffer.alloc(8), changes: 0 };
    const isRevoked = async (asked: ReturnType<SignedLists['of']>): Promise<boolean> => {
      const { status_list } = JSON.parse((await asked).token) as { status_list: { lst: string } };
      return isSet(inflateSync(Buffer.from(status_list.lst, 'base64url')), IDX);
    };
    const first = isRevoked(lists.of(list));
    await until(() => begun.length === 1);
    setBit(list.bits, IDX);
    list.changes += 1;
    const others = [lists.of(list), lists.of(list)].map(isRevoked);
    begun[0]?.resolve();
    assert.equal(await first, false);
    await until(() => begun.length === 2);
    begun[1]?.resolve();
    assert.deepEqual(await Promise.all(others), [true, true]);
    assert.equal(begun.length, 2, 'both wait for the same signing');
  });
});
