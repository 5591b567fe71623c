import assert from 'node:assert/strict';
import { isClientSecret, openClients, type Clients } from '../../src/clients/clients.ts';
import { Secret } from '../../src/config/secret.ts';
import { clientSchema } from '../../src/config/sections/client-schema.ts';
import type { ClientConfig } from '../../src/config/schema.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import { openStore } from '../../src/storage/open-store.ts';
import type { Store } from '../../src/storage/store.ts';
import { serverStores } from '../oidc/server-stores.ts';
import type { RunningBackend } from '../storage/backends.ts';

const SECRET = 'made-by-an-operator-0123456789';

const sealingKey = (): Promise<string> => Promise.resolve('a key of the ring');

const machine = (client_id: string, client_name = 'Machine'): ClientConfig =>
  clientSchema.parse({ client_id, client_name, type: 'machine', secret: new Secret(SECRET) });

for (const backend of serverStores) {
  describe(`Stored clients on ${backend.name}`, () => {
    let running: RunningBackend;
    let records: Store;
    let clients: Clients;
    before(async () => {
      running = await backend.start();
      records = await openStore(running.url, systemClock);
      clients = openClients({ records, configured: [machine('configured')], random: systemRandom, sealingKey });
    });
    after(async () => {
      await records.close();
      await running.stop();
    });

    /** The ids of all in the store. */
    async function everyId(): Promise<string[]> {
      const ids: string[] = [];
      for await (const client of clients.stored()) ids.push(client.client_id);
      return ids;
    }

    it('Every node finds a saved client, with a hash in place of its secret', async () => {
      assert.equal(await clients.find('job'), undefined);
      assert.equal(await clients.save(machine('job')), true);
      const otherNode = openClients({ records, configured: [], random: systemRandom, sealingKey });
      const { secret_hash: hash, ...rest } = (await otherNode.find('job')) ?? assert.fail('not found');
      const { secret: _, ...expected } = machine('job');
      assert.deepEqual(rest, expected);
      assert.ok(isClientSecret(hash ?? '', SECRET));
    });

    it('A saved client replaces the former client with its id completely', async () => {
      await clients.save({ ...machine('again'), client_uri: 'https://old.example' });
      await clients.save(machine('again', 'New name'));
      const found = await clients.find('again');
      assert.deepEqual([found?.client_name, found?.client_uri], ['New name', undefined]);
      assert.equal((await everyId()).filter((id) => id === 'again').length, 1);
    });

    it('A client is gone after its removal, which reports whether it existed', async () => {
      await clients.save(machine('short-lived'));
      assert.equal(await clients.remove('short-lived'), true);
      assert.equal(await clients.find('short-lived'), undefined);
      assert.ok(!(await everyId()).includes('short-lived'));
      assert.equal(await clients.remove('short-lived'), false);
    });

    it('A stored client cannot have the id of a client in the configuration', async () => {
      assert.equal(await clients.save(machine('configured', 'Impostor')), false);
      assert.equal((await clients.find('configured'))?.client_name, 'Machine');
      assert.ok(!(await everyId()).includes('configured'));
    });

    it('A client in the configuration takes precedence over a stored client with the same id', async () => {
      await clients.save(machine('promoted', 'Of the store'));
      const restarted = openClients({
        records,
        configured: [machine('promoted', 'Of the file')],
        random: systemRandom,
        sealingKey,
      });
      assert.equal((await restarted.find('promoted'))?.client_name, 'Of the file');
    });

    it('The list of clients contains each one once, however many there are', async () => {
      const before = await everyId();
      const added = Array.from({ length: 230 }, (_, index) => `many-${index}`);
      await Promise.all(added.map((id) => clients.save(machine(id))));
      assert.deepEqual((await everyId()).toSorted(), [...before, ...added].toSorted());
    });

    it('Special characters in client ids cause no confusion', async () => {
      const ids = ['a:b', 'a*', '__proto__', 'constructor', '../a', '{a}', "a'b", '%61', 'A', 'a'];
      for (const id of ids) await clients.save(machine(id, `Named ${id}`));
      for (const id of ids) assert.equal((await clients.find(id))?.client_name, `Named ${id}`);
      for (const id of ids) assert.equal(await clients.remove(id), true);
      for (const id of ids) assert.equal(await clients.find(id), undefined);
    });
  });
}
