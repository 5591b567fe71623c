import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, type PostgresOfTests } from '../support/postgres.ts';
import { startRedis, type RedisOfTests } from '../support/redis.ts';
import { newPlace, startCommand, type Command, type Place } from './command.ts';
import { load, Person } from './people.ts';

const PEOPLE = 5;
/** The longest time from the start of the load to the breakdown, in milliseconds. */
const LONGEST = 1500;

/** A store that may break down, alone or with the server. */
interface Scene {
  store?: string;
  /** Kills what is to be killed, and starts it again. @returns what there is to tell of it */
  breakDown(stage: Stage): Promise<string>;
  stop(): Promise<void>;
}

interface Stage {
  place: Place;
  server: Command;
}

const scenes: Record<string, { rounds: number; open: () => Promise<Scene> }> = {
  // One address may sign up 20 times: everybody twice in each round.
  'the server on SQLite': { rounds: 2, open: async () => ({ breakDown: restartServer, stop: async () => undefined }) },
  'the server on Redis': {
    rounds: 2,
    open: async () => {
      const redis = await startRedis({ appendonly: true, extra: ['--appendfsync', 'everysec'] });
      return { store: redis.url, breakDown: restartServer, stop: redis.stop };
    },
  },
  'Redis under the server': { rounds: 2, open: redisThatDies },
  'PostgreSQL and the server on it': { rounds: 2, open: postgresThatDies },
};

for (const [what, { rounds, open }] of Object.entries(scenes)) {
  describe(`Sign-ins, exchanges and refreshes during kill -9 of ${what}`, () => {
    let scene: Scene;
    let stage: Stage;

    before(async () => {
      scene = await open();
      const place = await newPlace(scene.store);
      stage = { place, server: await startCommand(place) };
    });

    after(async () => {
      await stage.server.end('SIGKILL');
      await scene.stop();
      await stage.place.remove();
    });

    for (let round = 1; round <= rounds; round += 1) {
      const moment = Math.round(LONGEST * (0.3 + 0.7 * Math.random()));
      it(`A kill -9 after ${moment} ms loses nothing acknowledged, and lets nothing work twice`, async function () {
        this.timeout(60_000);
        const { issuer } = stage.place;
        const people = Array.from({ length: PEOPLE }, (_, at) => new Person(issuer, `person-${round}-${at}`));
        let told = '';
        await load(people, sleep(moment), async () => (told = await scene.breakDown(stage)));
        const broken = await Promise.all(people.map((person) => person.checkPromises()));
        assert.deepEqual(broken.flat(), []);
        console.log(`      ${tell(people)}; ${told}`);
      });
    }
  });
}

async function restartServer(stage: Stage): Promise<string> {
  await stage.server.end('SIGKILL');
  stage.server = await startCommand(stage.place);
  return `started again in ${stage.server.startedIn} ms`;
}

/** Its folder is ours, so that it starts again with what it has on disk. */
async function redisThatDies(): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-redis-that-dies-'));
  const settings = { appendonly: true, extra: ['--appendfsync', 'always', '--dir', folder] };
  let redis: RedisOfTests = await startRedis(settings);
  const { url } = redis;
  return {
    store: url,
    async breakDown() {
      await redis.stop();
      redis = await startRedis({ ...settings, port: Number(new URL(url).port) });
      return 'the server went on';
    },
    async stop() {
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The database comes back first, and then a server that lost its answers. */
async function postgresThatDies(): Promise<Scene> {
  let postgres: PostgresOfTests = await startPostgres();
  return {
    store: await postgres.newDatabase(),
    async breakDown(stage) {
      await postgres.kill();
      postgres = await startPostgres(postgres);
      return restartServer(stage);
    },
    stop: () => postgres.stop(),
  };
}

function tell(people: readonly Person[]): string {
  const counts = people.map((person) => person.counts());
  const sum = (name: 'sessions' | 'codes' | 'refreshTokens' | 'open'): number =>
    counts.reduce((total, each) => total + each[name], 0);
  return `${sum('sessions')} sessions, ${sum('codes')} codes, ${sum('refreshTokens')} refresh tokens, ${sum('open')} in flight`;
}
