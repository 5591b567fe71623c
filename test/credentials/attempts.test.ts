import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Attempt, type Attempts, openAttempts } from '../../src/credentials/attempts.ts';
import { type TemporaryStore, temporaryStore } from '../support/temporary-store.ts';

const HOUR = 3600;
const stranger: Attempt = { email: 'ann@example.com', address: '198.51.100.7', knownDevice: undefined };
const owner: Attempt = { email: 'ann@example.com', address: '192.0.2.1', knownDevice: undefined };

describe('Sign-in attempts', () => {
  let place: TemporaryStore;
  const open = (grants = place.store): Attempts => openAttempts({ grants, clock: place.clock, key: Buffer.alloc(32) });
  const wait = async (who: Attempt): Promise<number> => (await open().check(who)).wait;

  beforeEach(() => {
    place = temporaryStore();
  });
  afterEach(() => place.remove());

  /** Tries for so long as often as is allowed, and ends in a pause. @returns how many attempts were let through */
  async function insist(who: Attempt, seconds: number): Promise<number> {
    const end = place.clock.now() + seconds * 1000;
    let through = 0;
    for (let tries = 0; tries < 10_000; tries += 1) {
      const pause = await wait(who);
      if (place.clock.now() + pause * 1000 > end) return through;
      if (pause === 0) through += 1;
      else place.clock.advance(pause);
    }
    return assert.fail('the pauses do not grow');
  }

  it('The first five sign-in attempts are free, and then the pause doubles each time up to an hour', async () => {
    for (let turn = 0; turn < 5; turn += 1) assert.equal(await wait(stranger), 0);
    const pauses: number[] = [];
    for (let turn = 0; turn < 14; turn += 1) {
      const pause = await wait(stranger);
      pauses.push(pause);
      place.clock.advance(pause - 1);
      assert.equal(await wait(stranger), 1);
      place.clock.advance(1);
      assert.equal(await wait(stranger), 0);
    }
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]);
  });

  it('Sign-in attempts during a pause do not lengthen it', async () => {
    await insist(stranger, 10);
    const before = await wait(stranger);
    for (let turn = 0; turn < 20; turn += 1) assert.equal(await wait(stranger), before);
    place.clock.advance(before);
    assert.equal(await wait(stranger), 0);
    assert.equal(await wait(stranger), 2 * before);
  });

  it('The attempt limit counts all of fifty simultaneous attempts at two nodes', async () => {
    const [one, other] = [open(), open(place.again())];
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, turn) => (turn % 2 === 0 ? one : other).check(stranger)),
    );
    assert.equal(answers.filter((answer) => answer.wait === 0).length, 5);
    assert.ok((await other.check(stranger)).wait > 0);
  });

  it('All nodes share one count of sign-in attempts', async () => {
    const [one, other] = [open(), open(place.again())];
    for (let turn = 0; turn < 5; turn += 1) await one.check(stranger);
    assert.ok((await other.check(stranger)).wait > 0);
  });

  it('One account gets fewer than a hundred sign-in attempts a day, from one address or from a thousand', async () => {
    assert.ok((await insist(stranger, 24 * HOUR)) < 50);
    let through = 0;
    const end = place.clock.now() + 24 * HOUR * 1000;
    for (let turn = 0; place.clock.now() < end; turn += 1) {
      const pause = await wait({ ...stranger, email: 'bob@example.com', address: `10.0.${turn >> 8}.${turn & 255}` });
      if (pause === 0) through += 1;
      else place.clock.advance(pause);
    }
    assert.ok(through > 20 && through < 100, String(through));
  });

  it('The attempt limit per address covers all accounts and does not affect another address', async () => {
    let through = 0;
    for (let turn = 0; turn < 120; turn += 1) {
      if ((await wait({ ...stranger, email: `person-${turn}@example.com` })) === 0) through += 1;
    }
    assert.equal(through, 100);
    assert.equal(await wait({ ...owner, email: 'person-119@example.com' }), 0);
  });

  it('All addresses of an IPv6 /64 count as one address for sign-in attempts', async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      assert.equal(await wait({ ...stranger, address: `2001:db8:1:2::${turn}` }), 0);
    }
    assert.ok((await wait({ ...stranger, address: '2001:db8:1:2:ffff:ffff:ffff:ffff' })) > 0);
    assert.equal(await wait({ ...stranger, address: '2001:db8:1:3::1' }), 0);
  });

  for (const [block, most, networkOf] of [
    ['/56', 300, (turn: number) => `2001:db8:1:${(turn & 0xff).toString(16)}`],
    ['/48', 500, (turn: number) => `2001:db8:1:${((turn * 0x101) & 0xffff).toString(16)}`],
  ] as const) {
    it(`An IPv6 ${block} gets few sign-in attempts an hour and needs few counters, whatever addresses it uses`, async () => {
      const end = place.clock.now() + HOUR * 1000;
      let through = 0;
      for (let turn = 0; place.clock.now() < end && through <= most; turn += 1) {
        const pause = await wait({
          ...stranger,
          email: `made-up-${turn}@example.com`,
          address: `${networkOf(turn)}::1`,
        });
        if (pause === 0) through += 1;
        else place.clock.advance(pause);
      }
      assert.ok(through > most / 2 && through <= most, String(through));
      assert.equal(await wait({ ...stranger, address: '2001:db8:2::1' }), 0);
    });
  }

  it('Attempts of a stranger at one address never make the owner wait at another', async () => {
    for (let round = 0; round < 5; round += 1) {
      await Promise.all(Array.from({ length: 100 }, () => wait(stranger)));
      assert.equal(await wait(owner), 0);
      await open().succeeded(owner);
      place.clock.advance(HOUR);
    }
    await insist(stranger, 48 * HOUR);
    assert.ok((await wait(stranger)) > 0);
    assert.equal(await wait(owner), 0);
  });

  it('Attempts of strangers never make the owner wait on a known device, even at a shared address', async () => {
    for (let turn = 0; turn < 60; turn += 1) await wait({ ...stranger, address: `10.0.0.${turn}` });
    for (let turn = 0; turn < 100; turn += 1) await wait({ ...owner, email: `person-${turn}@example.com` });
    assert.ok((await wait({ ...stranger, address: '10.0.0.99' })) > 0);
    assert.ok((await wait({ ...owner, email: 'bob@example.com' })) > 0);
    assert.equal(await wait({ ...owner, knownDevice: 'phone' }), 0);
  });

  it('Each known device of an account has its own limited count of sign-in attempts', async () => {
    const phone = { ...owner, knownDevice: 'phone' };
    assert.ok((await insist(phone, 24 * HOUR)) < 50);
    assert.ok((await wait(phone)) > 0);
    assert.equal(await wait({ ...phone, knownDevice: 'laptop', address: '192.0.2.77' }), 0);
    assert.equal(await wait({ ...phone, email: 'bob@example.com' }), 0);
    assert.equal(await wait(owner), 0);
  });

  it('All known devices of an account share an attempt limit, beyond which they count as strangers', async () => {
    const devices = Array.from({ length: 12 }, (_, turn) => ({
      ...owner,
      knownDevice: `device-${turn}`,
      version: 'v1',
    }));
    let through = 0;
    for (let turn = 0; turn < 5; turn += 1) for (const who of devices) through += (await wait(who)) === 0 ? 1 : 0;
    // Twenty, and five as from an unknown place.
    assert.equal(through, 25);
    assert.equal(await wait({ ...owner, knownDevice: 'another', version: 'v1', address: '192.0.2.77' }), 0);
    assert.equal(await wait({ ...owner, knownDevice: 'another', version: 'v2' }), 0);
  });

  it('Strangers and stolen devices together get fewer than a hundred attempts a day on one account', async () => {
    let through = 0;
    const end = place.clock.now() + 24 * HOUR * 1000;
    for (let turn = 0; place.clock.now() < end; turn += 1) {
      const stranger = { ...owner, address: `10.0.${turn >> 8}.${turn & 255}` };
      const pauses = [await wait(stranger), await wait({ ...stranger, knownDevice: `device-${turn}`, version: 'v1' })];
      through += pauses.filter((pause) => pause === 0).length;
      if (!pauses.includes(0)) place.clock.advance(Math.min(...pauses));
    }
    assert.ok(through > 60 && through < 100, String(through));
  });

  it('An account’s successful sign-ins are limited per minute, without effect on others and known devices', async () => {
    let through = 0;
    for (let turn = 0; turn < 400; turn += 1) {
      const { wait: pause, counted } = await open().check(owner);
      if (pause > 0) continue;
      through += 1;
      await open().succeeded(counted);
    }
    assert.ok(through >= 300 && through <= 302, String(through));
    assert.equal(await wait({ ...owner, email: 'bob@example.com' }), 0);
    assert.equal(await wait({ ...owner, knownDevice: 'phone', version: 'v1' }), 0);
    place.clock.advance(60);
    assert.equal(await wait(owner), 0);
  });

  it('An address’s successful sign-ins are limited per minute, whatever the accounts', async () => {
    let through = 0;
    for (let turn = 0; turn < 800; turn += 1) {
      const { wait: pause, counted } = await open().check({ ...owner, email: `person-${turn % 90}@example.com` });
      if (pause > 0) continue;
      through += 1;
      await open().succeeded(counted);
    }
    assert.ok(through >= 600 && through <= 602, String(through));
    assert.equal(await wait({ ...owner, knownDevice: 'phone', version: 'v1' }), 0);
    assert.equal(await wait({ ...owner, address: '192.0.2.77' }), 0);
  });

  it('A sign-in attempt that was not made leaves every count unchanged', async () => {
    for (let turn = 0; turn < 700; turn += 1) {
      const { wait: pause, counted } = await open().check(owner);
      assert.equal(pause, 0);
      await open().notMade(counted);
    }
  });

  it('A sign-in attempt that a shared limit refuses does not count for its account', async () => {
    let refused = 0;
    for (let hour = 0; hour < 6; hour += 1) {
      for (let turn = 0; turn < 99; turn += 1) await wait({ ...stranger, email: `person-${turn}@example.com` });
      // Those who arrive at the same moment are refused by the address, which has one attempt left.
      const crowd = Array.from({ length: 3 }, (_, turn) => ({ ...stranger, email: `late-${turn}@example.com` }));
      const waits = await Promise.all([...crowd, stranger].map(wait));
      refused += (waits.at(-1) ?? 0) > 0 ? 1 : 0;
      place.clock.advance(HOUR + 1);
    }
    assert.equal(refused, 6);
    for (let turn = 0; turn < 5; turn += 1) assert.equal(await wait(stranger), 0);
  });

  for (const [kind, who] of Object.entries({
    'from an address': owner,
    'on a device': { ...owner, knownDevice: 'phone' },
  })) {
    it(`The count of sign-in attempts ${kind} starts again after a success`, async () => {
      for (let round = 0; round < 3; round += 1) {
        for (let turn = 0; turn < 4; turn += 1) assert.equal(await wait(who), 0);
        await open().succeeded(who);
      }
      for (let turn = 0; turn < 5; turn += 1) assert.equal(await wait(who), 0);
      assert.ok((await wait(who)) > 0);
    });
  }

  it('A success of the owner, or of the guesser on another account, does not reset the guesser’s count', async () => {
    await insist(stranger, 60);
    const before = await wait(stranger);
    assert.equal(await wait(owner), 0);
    await open().succeeded(owner);
    assert.equal(await wait(stranger), before);

    const crowd = (turn: number) => ({ ...stranger, address: '203.0.113.9', email: `person-${turn}@example.com` });
    for (let turn = 0; turn < 100; turn += 1) await wait(crowd(turn));
    place.clock.advance(1);
    const own = { ...crowd(0), email: 'guesser@example.com' };
    assert.equal(await wait(own), 0);
    await open().succeeded(own);
    assert.ok((await wait(crowd(101))) > 0);
  });

  it('The counts of sign-in attempts expire after a day', async () => {
    await insist(stranger, HOUR);
    assert.ok((await wait(stranger)) > 0);
    place.clock.advance(24 * HOUR);
    for (let turn = 0; turn < 5; turn += 1) assert.equal(await wait(stranger), 0);
  });

  it('The attempt limit accepts any email, address and device', async () => {
    const text = fc.string({ unit: 'binary', maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, text, fc.option(text, { nil: undefined }), async (email, address, knownDevice) => {
        const who = { email, address, knownDevice };
        assert.ok(Number.isSafeInteger(await wait(who)));
        await open().succeeded(who);
      }),
    );
  });
});
