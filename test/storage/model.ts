import fc from 'fast-check';

/** One step against the store; `key` and `index` are numbers of a small set, so that steps meet. */
export type Step =
  | { verb: 'set' | 'create'; key: number; value: unknown; ttl: number | undefined; indexes: number[] }
  | { verb: 'replace'; key: number; value: unknown; ttl: number | undefined; indexes: number[]; stale: boolean }
  | { verb: 'get' | 'consume' | 'take' | 'delete'; key: number }
  | { verb: 'enlist'; index: number; key: number; ttl: number }
  | { verb: 'members'; index: number; limit: number }
  | { verb: 'increment'; key: number; by: number; ttl: number }
  | { verb: 'setBits'; key: number; offsets: number[]; ttl: number }
  | { verb: 'readBits'; key: number }
  | { verb: 'advance'; seconds: number };

const key = fc.nat(3);
const index = fc.nat(1);
// Long against the run, so that no server's own clock ends a record before the moved one does.
const life = fc.constantFrom(100, 200, 300);
const write = {
  key,
  value: fc.jsonValue({ maxDepth: 2 }),
  ttl: fc.option(life, { nil: undefined }),
  indexes: fc.uniqueArray(index),
};

export const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ verb: fc.constantFrom('set' as const, 'create' as const), ...write }),
    fc.record({ verb: fc.constant('replace' as const), ...write, stale: fc.boolean() }),
    fc.record({ verb: fc.constantFrom('get' as const, 'consume' as const, 'take' as const, 'delete' as const), key }),
    fc.record({ verb: fc.constant('enlist' as const), index, key: fc.integer({ min: 4, max: 6 }), ttl: life }),
    fc.record({ verb: fc.constant('members' as const), index, limit: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ verb: fc.constant('increment' as const), key, by: fc.integer({ min: -5, max: 5 }), ttl: life }),
    fc.record({ verb: fc.constant('setBits' as const), key, offsets: fc.array(fc.nat(40)), ttl: life }),
    fc.record({ verb: fc.constant('readBits' as const), key }),
    fc.record({ verb: fc.constant('advance' as const), seconds: fc.constantFrom(50, 100) }),
  ),
  { maxLength: 40 },
);

interface ModelRecord {
  value: unknown;
  expiresAt: number;
  indexes: number[];
  consumedAt?: number;
}

/** What the port promises, in the plainest code: three maps and a clock. */
export class Model {
  #now: number;
  readonly #records = new Map<number, ModelRecord>();
  /** The members that have no record, of each index. */
  readonly #entries = [new Map<number, { expiresAt: number }>(), new Map<number, { expiresAt: number }>()];
  readonly #counters = new Map<number, { sum: number; expiresAt: number }>();
  readonly #bitmaps = new Map<number, { ones: Set<number>; expiresAt: number }>();

  constructor(now: number) {
    this.#now = now;
  }

  /** What the store has to answer. */
  run(step: Step): unknown {
    this.#forget(this.#records);
    for (const entries of this.#entries) this.#forget(entries);
    this.#forget(this.#counters);
    this.#forget(this.#bitmaps);
    switch (step.verb) {
      case 'advance':
        this.#now += step.seconds * 1000;
        return undefined;
      case 'set':
        this.#write(step);
        return undefined;
      case 'create':
        if (this.#records.has(step.key)) return false;
        this.#write(step);
        return true;
      case 'replace':
        return this.#replace(step);
      case 'get':
        return this.#shown(step.key);
      case 'consume':
        return this.#consume(step.key);
      case 'take':
      case 'delete': {
        const shown = this.#shown(step.key);
        const was = this.#records.delete(step.key);
        return step.verb === 'take' ? shown : was;
      }
      case 'enlist': {
        const expiresAt = this.#now + step.ttl * 1000;
        const entries = this.#entries[step.index];
        if (expiresAt > (entries?.get(step.key)?.expiresAt ?? 0)) entries?.set(step.key, { expiresAt });
        return undefined;
      }
      case 'members':
        return this.#members(step.index);
      case 'increment': {
        const former = this.#counters.get(step.key) ?? { sum: 0, expiresAt: this.#now + step.ttl * 1000 };
        this.#counters.set(step.key, { ...former, sum: former.sum + step.by });
        return former.sum + step.by;
      }
      case 'setBits': {
        const ones = this.#bitmaps.get(step.key)?.ones ?? new Set();
        for (const offset of step.offsets) ones.add(offset);
        this.#bitmaps.set(step.key, { ones, expiresAt: this.#now + step.ttl * 1000 });
        return undefined;
      }
      case 'readBits':
        return [...(this.#bitmaps.get(step.key)?.ones ?? [])].toSorted((a, b) => a - b);
    }
  }

  #forget<V extends { expiresAt: number }>(map: Map<number, V>): void {
    for (const [name, { expiresAt }] of map) if (expiresAt <= this.#now) map.delete(name);
  }

  #write({ key, value, ttl, indexes }: Extract<Step, { value: unknown }>): void {
    this.#records.set(key, { value, indexes, expiresAt: ttl === undefined ? Infinity : this.#now + ttl * 1000 });
  }

  #replace(step: Extract<Step, { verb: 'replace' }>): boolean {
    const former = this.#records.get(step.key);
    if (former === undefined || step.stale) return false;
    this.#write(step);
    const { consumedAt } = former;
    if (consumedAt !== undefined) Object.assign(this.#records.get(step.key) ?? {}, { consumedAt });
    return true;
  }

  #consume(key: number): unknown {
    const record = this.#records.get(key);
    if (record === undefined) return { use: 'absent' };
    if (record.consumedAt !== undefined) return { use: 'already', at: record.consumedAt };
    record.consumedAt = this.#now;
    return { use: 'first' };
  }

  #shown(key: number): unknown {
    const record = this.#records.get(key);
    if (record === undefined) return undefined;
    const { value, expiresAt, consumedAt } = record;
    return {
      value,
      ...(consumedAt !== undefined && { consumedAt }),
      ...(expiresAt !== Infinity && { expiresAt }),
    };
  }

  #members(index: number): number[] {
    const records = [...this.#records].filter(([, { indexes }]) => indexes.includes(index));
    const members: [number, { expiresAt: number }][] = [...records, ...(this.#entries[index] ?? [])];
    const bySooner = (left: { expiresAt: number }, right: { expiresAt: number }) =>
      left.expiresAt === right.expiresAt ? 0 : left.expiresAt - right.expiresAt;
    return members.toSorted(([a, left], [b, right]) => bySooner(left, right) || a - b).map(([key]) => key);
  }
}
