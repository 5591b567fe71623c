/**
 * Loaded into a measured server before its own code (`node --import`): has it issue tokens with a place in a status list
 * and without one, by turns so short that whatever else the machine does falls on both. There is no setting for that, on
 * purpose; so the module that gives tokens their places is wrapped.
 */
import { registerHooks } from 'node:module';

/** What was done in one kind of turn. */
export interface Slice {
  tokens: number;
  /** Microseconds. */
  cpu: number;
  /** Milliseconds. */
  time: number;
}

/** A turn with places, and the one without that came next to it. */
export type Pair = Record<'own' | 'bare', Slice>;

/** Milliseconds. */
const TURN = 100;
const WRAPPED = '/src/oidc/requests/token-status.ts';

registerHooks({
  load(url, context, nextLoad) {
    if (!url.endsWith(WRAPPED)) return nextLoad(url, context);
    const source = `
      import { givesPlace } from ${JSON.stringify(import.meta.url)};
      import * as own from ${JSON.stringify(`${url}?own`)};
      export * from ${JSON.stringify(`${url}?own`)};
      export const statusClaim = async (...parts) => (givesPlace() ? own.statusClaim(...parts) : {});
    `;
    return { format: 'module', source, shortCircuit: true };
  },
});

let pairs: Pair[] = [];
let turns: Slice[] = [];
let count = 0;
let began = { cpu: cpuNow(), time: performance.now() };

function cpuNow(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Counts a token. @returns whether it gets a place in this turn */
export function givesPlace(): boolean {
  count += 1;
  return turns.length === 0;
}

setInterval(() => {
  const now = { cpu: cpuNow(), time: performance.now() };
  turns.push({ tokens: count, cpu: now.cpu - began.cpu, time: now.time - began.time });
  [count, began] = [0, now];
  const [own, bare] = turns;
  if (own === undefined || bare === undefined) return;
  if (own.tokens > 0 && bare.tokens > 0) pairs.push({ own, bare });
  turns = [];
}, TURN).unref();

process.on('message', (question) => {
  if (question !== 'pairs') return;
  process.send?.(pairs);
  pairs = [];
});
