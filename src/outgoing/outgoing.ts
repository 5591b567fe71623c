import type { Clock } from '../lib/clock.ts';
import { FetchBudget } from './fetch-budget.ts';
import { KeySets } from './key-sets.ts';
import { Logos } from './logos.ts';
import { outgoingFetch } from './outgoing-fetch.ts';

/** The ways to call places that one side named. */
export interface Calls {
  readonly fetch: typeof fetch;
  readonly keySets: KeySets;
  readonly logos: Logos;
}

/** Calls by who named the place: the operator's list of private hosts is for the operator's places alone. */
export interface Outgoing {
  /** Named by the configuration, or by the operator's commands. */
  readonly ofOperator: Calls;
  /** Named by a client that registered or described itself. */
  readonly ofStrangers: Calls;
}

/** JWK Sets are smaller than other answers. */
const KEY_SET = { maxBytes: 65_536, timeout: 3000 };
/** Key sets and pictures that are fetched within an hour: more than an app in use needs, whose keys are kept for a minute at least. */
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
