import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { twoServerStores } from '../oidc/server-stores.ts';
import { CAUSES, LAST_CAUSES, type Cause, type Scene } from '../revocation/all-causes.ts';
import { acceptances, refusals } from '../revocation/held.ts';
import { Stage, withCasts } from '../revocation/stage.ts';
import { startRevocationSetup, type RevocationSetup } from '../revocation/two-nodes.ts';
import { until } from '../support/until.ts';

/** How many causes are tried at the same time: none has to do with another. */
const AT_ONCE = 4;

interface Played {
  scene: Scene;
  /** What was accepted for too long, in words. */
  accepted: string[];
}

for (const backend of twoServerStores) {
  describe(`The causes of revocations, seen from every API beside two nodes on ${backend.name}`, function () {
    this.timeout(300_000);
    let setup: RevocationSetup;
    let played: Map<Cause, Promise<Played>>;

    before(async () => {
      const ids = [...CAUSES, ...LAST_CAUSES].map(({ id }) => id);
      setup = await startRevocationSetup(backend, (config, logoutUri) => withCasts(ids, config, logoutUri));
      played = new Map();
      const waiting = [...CAUSES];
      const work = async (): Promise<void> => {
        for (let cause = waiting.shift(); cause !== undefined; cause = waiting.shift()) {
          const playing = play(cause);
          played.set(cause, playing);
          await playing.catch(() => undefined);
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work));
    });
    after(() => setup.close());

    async function play(cause: Cause): Promise<Played> {
      const scene = await cause.begin(new Stage(setup, cause.id));
      assert.deepEqual(await refusals([...scene.ends, ...scene.stays]), [], 'before anything happened');
      await scene.act();
      return { scene, accepted: await acceptances(scene.ends) };
    }

    /** The apps of a cause that were sent logout tokens. */
    function toldBy({ id }: Cause): Set<string> {
      const apps = setup.receiver.received.map(({ body }) => String(decodeJwt(body.get('logout_token') ?? '').aud));
      return new Set(apps.filter((app) => app.endsWith(id)));
    }

    for (const cause of [...CAUSES, ...LAST_CAUSES]) {
      it(`Every API refuses in time what is revoked, and only that, when ${cause.when}`, async () => {
        const { scene, accepted } = await (played.get(cause) ?? play(cause));
        assert.deepEqual(accepted, []);
        assert.deepEqual(await refusals(scene.stays), []);
        const due = new Set(scene.told);
        await until(() => toldBy(cause).size >= due.size);
        assert.deepEqual(toldBy(cause), due);
      });
    }
  });
}
