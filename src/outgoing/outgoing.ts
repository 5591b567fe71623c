import type { Clock } from '../lib/clock.ts';
import { FetchBudget } from './fetch-budget.ts';
import { KeySets } from './key-sets.ts';
import { Logos } from './logos.ts';
import { outgoingFetch } from './outgoing-fetch.ts';

/** The functions and caches for addresses that one party named. */
export interface Calls {
  readonly fetch: typeof fetch;
  readonly keySets: KeySets;
  readonly logos: Logos;
}

/**
 * Outgoing calls, separated by the party that named the address. The operator's list of private hosts applies only to
 * the operator's addresses.
 */
export interface Outgoing {
  /** Addresses from the configuration, or from the operator's commands. */
  readonly ofOperator: Calls;
  /** Addresses from a client that registered or described itself. */
  readonly ofStrangers: Calls;
}

/** Limits for JWK Sets, which are smaller than other responses. */
const KEY_SET = { maxBytes: 65_536, timeout: 3000 };
/**
 * Most fetches of key sets and pictures in an hour. An app needs fewer, because its keys are cached for at least a
 * minute.
 */
const MOST = { caller: 120, common: 400, reserve: 200 };

export function openOutgoing(options: {
  allow: readonly string[];
  ca?: string | undefined;
  clock: Clock;
  reportFailure: (failure: { address: string; err: unknown; isOfOperator: boolean }) => void;
}): Outgoing {
  const { allow, ca, clock } = options;
  const reporting = (isOfOperator: boolean) => (address: string, err: unknown) => {
    options.reportFailure({ address, err, isOfOperator });
  };
  const budget = new FetchBudget({ clock, most: MOST });
  const [ours, theirs] = [outgoingFetch({ allow, ca }), outgoingFetch({ allow: [] })];
  return {
    ofOperator: {
      fetch: ours,
      logos: new Logos({ clock, fetch: ours }),
      keySets: new KeySets({ clock, fetch: outgoingFetch({ allow, ca, ...KEY_SET }), reportFailure: reporting(true) }),
    },
    ofStrangers: {
      fetch: theirs,
      logos: new Logos({ clock, budget, fetch: theirs }),
      keySets: new KeySets({
        ...{ clock, budget, fetch: outgoingFetch({ allow: [], ...KEY_SET }) },
        reportFailure: reporting(false),
      }),
    },
  };
}
