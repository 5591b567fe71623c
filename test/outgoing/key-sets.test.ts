import assert from 'node:assert/strict';
import { FetchBudget } from '../../src/outgoing/fetch-budget.ts';
import { KeySets } from '../../src/outgoing/key-sets.ts';
import { MovedClock } from '../support/clock.ts';

describe('The fetched key sets', () => {
  const ample = { caller: 10_000, common: 100_000, reserve: 100 };
  let clock: MovedClock;
  let asked: string[];
  let failures: string[];
  let answer: () => Promise<Response>;
  beforeEach(() => {
    clock = new MovedClock();
    [asked, failures] = [[], []];
    answer = async () => Response.json({ keys: [{ kty: 'EC' }] });
  });

  function opened(most = ample): KeySets {
    return new KeySets({
      clock,
      budget: new FetchBudget({ clock, most }),
      fetch: async (address) => {
        asked.push(address as string);
        return answer();
      },
      reportFailure: (_address, error) => void failures.push(String(error)),
    });
  }

  const hostile: Record<string, () => Promise<Response>> = {
    'is no JWK set': async () => Response.json({ no: 'keys' }),
    'is no JSON': async () => new Response('<html>'),
    'is an error': async () => new Response('{"keys":[]}', { status: 500 }),
    'never comes': () => Promise.reject(new Error('timed out')),
  };
  for (const [what, how] of Object.entries(hostile)) {
    it(`If a key set’s response ${what}, the server repeats the request at most every 30 seconds`, async () => {
      answer = how;
      const sets = opened();
      for (let times = 0; times < 40; times += 1) await sets.at('https://victim.example/', { maxAge: 0 });
      await Promise.all(Array.from({ length: 40 }, () => sets.at('https://victim.example/', { maxAge: 0 })));
      assert.deepEqual([asked.length, failures.length], [1, 1]);
      clock.advance(30);
      assert.equal((await sets.at('https://victim.example/', { maxAge: 0 })).fetchedAt, 0);
      assert.equal(asked.length, 2);
    });
  }

  it('The server keeps a key set while its URL fails', async () => {
    const sets = opened();
    await sets.at('https://app.example/', { maxAge: 60 });
    clock.advance(600);
    answer = () => Promise.reject(new Error('away'));
    const set = await sets.at('https://app.example/', { maxAge: 60 });
    assert.deepEqual([set.keys.length, sets.age(set)], [1, 600]);
  });

  const HOST = 'one.example';
  /** Names so many addresses that nobody has named before. */
  const name = async (
    sets: KeySets,
    { times = 200, host = HOST, payer }: { times?: number; host?: string; payer: string },
  ) => {
    for (let at = 0; at < times; at += 1) await sets.at(`https://${host}/${payer}/${at}`, { maxAge: 0, payer });
  };
  const askedAt = (host: string): number => asked.filter((address) => new URL(address).host === host).length;

  it('The server fetches key sets for one caller, and from one host, only within the hourly budget', async () => {
    const sets = opened({ caller: 60, common: 400, reserve: 200 });
    for (let host = 0; host < 5; host += 1) await name(sets, { host: `${host}.example`, payer: '192.0.2.1' });
    assert.equal(asked.length, 60);
    for (const most of [400, 500, 600, 600]) {
      for (let block = 0; block < 250; block += 1) await name(sets, { times: 20, payer: `198.51.100.${block}` });
      assert.equal(askedAt(HOST), most);
      clock.advance(60);
    }
    clock.advance(3600);
    await name(sets, { times: 1, payer: '203.0.113.1' });
    assert.equal(askedAt(HOST), 601);
  });

  it('A few callers with many key set URLs on a host leave requests to that host for others', async () => {
    const sets = opened({ caller: 120, common: 400, reserve: 200 });
    for (let block = 0; block < 20; block += 1) await name(sets, { payer: `198.51.100.${block}` });
    const before = askedAt(HOST);
    await name(sets, { payer: '203.0.113.1' });
    assert.ok(askedAt(HOST) - before >= 5, `${askedAt(HOST) - before} after ${before}`);
  });

  it('The server still fetches key sets that it has fetched before, even if others used up the host’s budget', async () => {
    const sets = opened({ caller: 120, common: 400, reserve: 200 });
    const mine = { maxAge: 600, payer: '203.0.113.1' };
    await sets.at(`https://${HOST}/mine`, mine);
    for (let block = 0; block < 250; block += 1) await name(sets, { times: 50, payer: `198.51.100.${block}` });
    const beforehand = asked.length;
    for (const fetched of [1, 2, 2]) {
      clock.advance(700);
      assert.equal((await sets.at(`https://${HOST}/mine`, mine)).keys.length, 1);
      assert.equal(asked.length, beforehand + fetched);
    }
    const other = await sets.at(`https://${HOST}/other`, mine);
    assert.deepEqual([other.keys.length, asked.length], [0, beforehand + 2]);
  });

  it('One caller’s many key set URLs do not use up the reserve for other callers’ URLs', () => {
    const budget = new FetchBudget({ clock, most: { caller: 1000, common: 1, reserve: 20 } });
    for (let n = 0; n < 20; n += 1) budget.answered(`https://host.example/${n}`, 'one');
    budget.answered('https://host.example/other', 'other');
    assert.ok(budget.take('https://host.example/any', 'third'), 'the last for everybody');
    assert.ok(budget.take('https://host.example/other', 'other'));
    assert.ok(budget.take('https://host.example/0', 'one'));
    assert.equal(budget.take('https://host.example/10', 'one'), false);
  });

  it('The server keeps a cached key set if no budget remains for others', async () => {
    const sets = opened({ caller: 1, common: 400, reserve: 200 });
    await sets.at('https://app.example/', { maxAge: 600, payer: '203.0.113.1' });
    await name(sets, { times: 2500, payer: '192.0.2.1' });
    assert.equal(asked.length, 2);
    assert.equal((await sets.at('https://app.example/', { maxAge: 600 })).keys.length, 1);
    assert.equal(asked.length, 2);
  });

  it('The cache of key sets holds at most 8 MiB, and drops the oldest sets', async () => {
    answer = async () => Response.json({ keys: [{ kty: 'EC', padding: 'x'.repeat(60_000) }] });
    const sets = opened();
    for (let at = 0; at < 300; at += 1) await sets.at(`https://app.example/${at}`, { maxAge: 60 });
    assert.equal(asked.length, 300);
    await sets.at('https://app.example/299', { maxAge: 60 });
    assert.equal(asked.length, 300);
    await sets.at('https://app.example/0', { maxAge: 60 });
    assert.equal(asked.length, 301);
  });
});
