/** Host and port as the Sentinels write them. */
export interface Address {
  host: string;
  port: number;
}

/** One Sentinel's answer about the primary that it watches. */
export interface SentinelView {
  primary: Address;
  /** Grows with every failover; the Sentinels elect a leader for each. */
  epoch: number;
  /** It cannot reach the primary. */
  isDown: boolean;
  /** The number of Sentinels that must agree that the primary is down. */
  quorum: number;
  otherSentinels: number;
  /** The replicas that it knows, by address, and how long each has been down, in milliseconds. */
  replicas: Map<string, number>;
}

/** A replica that has been down for so long, in milliseconds, is not waited for any more. */
const GONE = 5_000;

/** Reads the answers to `SENTINEL GET-MASTER-ADDR-BY-NAME`, `MASTER` and `REPLICAS`. */
export function readView([address, master, replicas]: readonly unknown[]): SentinelView {
  const [host, port] = strings(address);
  if (host === undefined || port === undefined) throw new Error('a Sentinel does not know the primary');
  const facts = fields(master);
  return {
    primary: { host, port: Number(port) },
    epoch: Number(facts['config-epoch']),
    isDown: isDown(facts),
    quorum: Number(facts['quorum']),
    otherSentinels: Number(facts['num-other-sentinels']),
    replicas: new Map((Array.isArray(replicas) ? replicas : []).map((one: unknown) => replicaIn(fields(one)))),
  };
}

/**
 * The primary that the Sentinels name: a majority of them must answer, and those that know of the latest failover must
 * agree. A Sentinel that was cut off goes on naming the former primary, under the epoch of that time.
 * @param all how many Sentinels there are
 */
export function namedPrimary(views: readonly SentinelView[], all: number): Address {
  if (views.length * 2 <= all) throw new Error(`${views.length} of ${all} Sentinels answer`);
  const latest = Math.max(...views.map(({ epoch }) => epoch));
  const [first, ...others] = views.filter(({ epoch }) => epoch === latest).map(({ primary }) => primary);
  if (first === undefined || others.some((other) => !isSame(first, other))) {
    throw new Error('the Sentinels are moving to another primary');
  }
  return first;
}

/**
 * The number of replicas that must have a write before no failover can lose it: all that could be promoted. While the Sentinels may
 * be about to replace the primary, no number is enough.
 */
export function neededReplicas(views: readonly SentinelView[], all: number): number {
  const down = views.filter((view) => view.isDown).length;
  const quorum = Math.min(...views.map((view) => view.quorum));
  // A Sentinel that does not answer may see the primary as down, too.
  if (down > 0 && down + all - views.length >= quorum) return Infinity;
  const known = new Set(views.flatMap(({ replicas }) => [...replicas.keys()]));
  const isGone = (replica: string): boolean => views.every(({ replicas }) => (replicas.get(replica) ?? GONE) >= GONE);
  return Math.max(1, [...known].filter((replica) => !isGone(replica)).length);
}

export function isSame(one: Address, other: Address): boolean {
  return one.host === other.host && one.port === other.port;
}

function replicaIn(facts: Record<string, string>): [address: string, downFor: number] {
  const downFor = isDown(facts) ? Number(facts['s-down-time'] ?? 0) : 0;
  return [`${facts['ip'] ?? ''} ${facts['port'] ?? ''}`, downFor];
}

function isDown({ flags = '' }: Record<string, string>): boolean {
  return /\b[so]_down\b/.test(flags);
}

function strings(answer: unknown): string[] {
  return Array.isArray(answer) ? answer.map(String) : [];
}

/** A flat list of names and values, as RESP2 has it. */
function fields(answer: unknown): Record<string, string> {
  const flat = strings(answer);
  return Object.fromEntries(flat.flatMap((name, at) => (at % 2 === 0 ? [[name, flat[at + 1] ?? '']] : [])));
}
