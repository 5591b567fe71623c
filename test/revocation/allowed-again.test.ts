import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { sqlite } from '../storage/backends.ts';
import { refresh } from '../support/flows.ts';
import { World } from './world.ts';

describe('An app that a person allows again at once', () => {
  let world: World;
  before(async () => {
    world = await World.start(sqlite);
  });
  after(() => world.stop());

  it('keeps what it is given then, whatever is looked for after their consent was withdrawn', async () => {
    const { issuer } = world.node;
    const before = await world.holding();
    await world.operations.withdrawConsent(before.account, before.client);
    const again = await world.holding({ browser: before.browser });
    // One look for what was half-way is over; the later ones are no different.
    const looked = async (): Promise<boolean> => {
      const { keys } = await world.stores.grants.members<{ done: number }>('revocations');
      return (await world.stores.grants.getMany(keys)).every((stored) => (stored?.value.done ?? 3) >= 3);
    };
    while (!(await looked())) await sleep(50);
    assert.equal((await refresh(issuer, before.refresh)).status, 400);
    assert.equal((await refresh(issuer, again.refresh)).status, 200);
  });
});
