import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import { type KeyRing, openKeyRing } from '../../src/keys/key-ring.ts';
import { type MasterKey, openMasterKey } from '../../src/keys/master-key.ts';
import type { RingStore } from '../../src/keys/ring-record.ts';
import type { Timetable } from '../../src/keys/timetable.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { Store } from '../../src/storage/store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/sqlite-store.ts';
import { seeded } from '../support/seeded.ts';

const START = Date.UTC(2026, 0, 1);
const NODES = 5;

/** A setup of seconds: what an hour or a day is in a real one. */
export const BOUNDS = { skew: 20, cache: 60, poll: 40, tokenLife: 90, cookieLife: 100 };
/** The shortest announcement and publication that the bounds allow, so that the tests show that they are enough. */
export const TIGHT: Timetable = {
  sign: 240,
  announce: BOUNDS.cache + BOUNDS.skew + BOUNDS.poll,
  publish: BOUNDS.tokenLife + BOUNDS.skew,
  remember: BOUNDS.tokenLife + BOUNDS.skew,
  cookies: BOUNDS.cookieLife + BOUNDS.skew,
  skew: BOUNDS.skew,
  cache: BOUNDS.cache,
};

interface Node {
  /** How far its clock is ahead of true time, in milliseconds. */
  ahead: number;
  ring: KeyRing;
  looksAt: number;
}

/** What a resource server has fetched and may go on using for a time. */
interface FetchedKeys {
  at: number;
  kids: ReadonlySet<string>;
  keys: KeyRing;
}

interface Issued {
  jwt: string;
  /** When it ends, on the clock that is the furthest behind. */
  until: number;
}

/**
 * Nodes with clocks of their own over one real store, which look at the ring at random times within the bound, hear
 * hints or miss them, and restart; and resource servers that keep `/jwks` for as long as they may. True time moves in
 * steps, to random moments and to the worst ones.
 */
export class RotatingNodes {
  #now = START;
  readonly #nodes: Node[] = [];
  #fetched: FetchedKeys[] = [];
  /** By kid or cookie secret: until when something that it signed is good. */
  readonly #tokens = new Map<string, number>();
  readonly #cookies = new Map<string, number>();
  readonly #seen = new Set<string>();
  /** Moments at which every node signs and is fetched from. */
  #moments: number[] = [];
  #sample: Issued | undefined;
  verified = 0;

  readonly #store: Store;
  readonly #masterKey: MasterKey;
  readonly #timetable: Timetable;
  readonly #chance: () => number;

  private constructor(store: Store, masterKey: MasterKey, timetable: Timetable, chance: () => number) {
    this.#store = store;
    this.#masterKey = masterKey;
    this.#timetable = timetable;
    this.#chance = chance;
  }

  /** Lives through so many rotations. @throws AssertionError at the first token or cookie that a holder of keys refuses */
  static async live(seed: number, rotations: number, timetable: Timetable): Promise<{ verified: number }> {
    const directory = await mkdtemp(join(tmpdir(), 'latchkey-nodes-'));
    const store = openSqliteStore(join(directory, 'records.db'), { now: () => START });
    const masterKey = await openMasterKey(join(directory, 'keys'), { create: true, random: systemRandom });
    const setup = new RotatingNodes(store, masterKey, timetable, seeded(seed));
    try {
      await setup.#start();
      while (setup.#seen.size <= rotations) await setup.#step();
      return { verified: setup.verified };
    } finally {
      await Promise.all(setup.#nodes.map(({ ring }) => ring.close()));
      await store.close();
      await rm(directory, { recursive: true });
    }
  }

  async #start(): Promise<void> {
    for (let n = 0; n < NODES; n += 1) {
      // Two clocks are as far apart as they may be.
      const ahead = Math.round((n < 2 ? n : this.#chance()) * BOUNDS.skew * 1000);
      const node: Node = { ahead, looksAt: 0, ring: await this.#open(ahead) };
      this.#plan(node);
      this.#nodes.push(node);
    }
    // The first key is unannounced: nobody has any keys yet.
    this.#fetchAll();
  }

  async #step(): Promise<void> {
    const looks = this.#nodes.map(({ looksAt }) => looksAt);
    const chance = this.#now + Math.ceil(this.#chance() * 60_000);
    this.#now = Math.max(this.#now, Math.min(chance, ...looks, ...this.#moments));
    for (const node of this.#nodes) if (node.looksAt <= this.#now) await this.#look(node);
    this.#learn();
    this.#moments = this.#moments.filter((moment) => moment > this.#now);
    this.#issueAll();
    this.#fetchAll();
    await this.#verifySample();
  }

  async #look(node: Node): Promise<void> {
    if (this.#chance() < 0.02) {
      await node.ring.close();
      node.ring = await this.#open(node.ahead);
    } else {
      await node.ring.refresh();
    }
    this.#plan(node);
  }

  #plan(node: Node): void {
    node.looksAt = this.#now + Math.ceil(this.#chance() * BOUNDS.poll * 1000);
  }

  #open(ahead: number): Promise<KeyRing> {
    return openKeyRing({
      records: this.#storeOfOneNode(),
      masterKey: this.#masterKey,
      clock: { now: () => this.#now + ahead },
      random: systemRandom,
      algorithms: ['ES256'],
      timetable: this.#timetable,
    });
  }

  /** The real store, whose hints reach half of the nodes, a moment later. */
  #storeOfOneNode(): RingStore {
    const store = this.#store;
    return {
      get: (key) => store.get(key),
      create: (key, value) => store.create(key, value),
      replace: (key, value, version) => store.replace(key, value, version),
      publish: () => {
        for (const node of this.#nodes) if (this.#chance() < 0.5) node.looksAt = Math.min(node.looksAt, this.#now + 50);
        return Promise.resolve();
      },
      subscribe: () => Promise.resolve(() => Promise.resolve()),
    };
  }

  /** Of each key that is new, notes the worst moments: when it may first sign, and when what it signed last ends. */
  #learn(): void {
    for (const { ring } of this.#nodes) {
      for (const key of [...ring.current().keys]) {
        this.#seen.add(key.kid);
        const firsts = this.#nodes.map(({ ahead }) => key.signsFrom - ahead);
        const lasts = this.#nodes.map(({ ahead }) => key.signsUntil - 1 - ahead);
        const ends = key.signsUntil - 1 + BOUNDS.tokenLife * 1000;
        const moments = [Math.min(...firsts) - BOUNDS.cache * 1000, ...firsts, ...lasts, ends - 1];
        this.#moments.push(...moments.filter((moment) => moment > this.#now && !this.#moments.includes(moment)));
      }
    }
  }

  #issueAll(): void {
    for (const { ahead, ring } of this.#nodes) {
      const { signing, cookieKeys } = ring.current();
      const now = this.#now + ahead;
      const [signer] = signing;
      const [cookieKey] = cookieKeys;
      assert.ok(signer !== undefined && cookieKey !== undefined);
      for (const { kids, at } of this.#fetched) {
        assert.ok(kids.has(signer.kid), `a set fetched ${this.#now - at} ms ago lacks the key that signs`);
      }
      this.#tokens.set(signer.kid, now + BOUNDS.tokenLife * 1000);
      this.#cookies.set(cookieKey, now + BOUNDS.cookieLife * 1000);
    }
  }

  #fetchAll(): void {
    forget(this.#tokens, this.#now);
    forget(this.#cookies, this.#now);
    this.#fetched = this.#fetched.filter(({ at }) => at >= this.#now - BOUNDS.cache * 1000);
    for (const { ring } of this.#nodes) {
      const { published, cookieKeys } = ring.current();
      const kids = new Set(published.map(({ kid }) => kid ?? ''));
      for (const kid of this.#tokens.keys()) assert.ok(kids.has(kid), 'a node no longer publishes the key of a token');
      for (const key of this.#cookies.keys()) assert.ok(cookieKeys.includes(key), 'a node does not know a cookie');
      this.#fetched.push({ at: this.#now, kids, keys: ring });
    }
  }

  /** Now and then a real token, verified for the last time when it is about to end. */
  async #verifySample(): Promise<void> {
    const node = this.#nodes[Math.floor(this.#chance() * NODES)];
    assert.ok(node !== undefined);
    if (this.#sample !== undefined && this.#sample.until <= this.#now + 5000) {
      const keys = createLocalJWKSet({ keys: [...node.ring.current().published] });
      await jwtVerify(this.#sample.jwt, keys, { currentDate: new Date(START) });
      this.#sample = undefined;
      this.verified += 1;
    }
    const [signer] = node.ring.current().signing;
    assert.ok(signer?.privateJwk !== undefined);
    this.#sample ??= {
      jwt: await new SignJWT({})
        .setProtectedHeader({ alg: signer.alg, kid: signer.kid })
        .sign(await importJWK(signer.privateJwk, signer.alg)),
      until: this.#now + node.ahead + BOUNDS.tokenLife * 1000,
    };
  }
}

function forget(until: Map<string, number>, now: number): void {
  for (const [name, end] of until) if (end <= now) until.delete(name);
}
