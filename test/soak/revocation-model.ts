import fc from 'fast-check';

type Two = 0 | 1;

/** What people, apps, operators and time do. `of` counts among what there is by then, going round. */
export type Step =
  | { do: 'sign in'; person: Two; app: Two; isOffline: boolean; node: Two }
  | { do: 'machine token'; node: Two }
  | { do: 'refresh' | 'replay' | 'give back the refresh token' | 'sign out'; of: number; node: Two }
  | { do: 'exchange' | 'give back the access token'; of: number; node: Two }
  | { do: 'withdraw consent'; person: Two; app: Two }
  | { do: 'end account'; person: Two }
  | { do: 'end client'; client: 0 | 1 | 2 }
  | { do: 'end everything' }
  | { do: 'rotate keys' }
  | { do: 'restart'; node: Two }
  | { do: 'travel'; seconds: number }
  | { do: 'check' };

const two = fc.constantFrom<Two>(0, 1);
const of = fc.nat(99);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('sign in'), person: two, app: two, isOffline: fc.boolean(), node: two }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('machine token'), node: two }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('refresh'), of, node: two }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('exchange'), of, node: two }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('replay', 'give back the refresh token', 'sign out', 'give back the access token'),
      of,
      node: two,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw consent'), person: two, app: two }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end account'), person: two }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('end client'), client: fc.constantFrom(0, 1, 2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('end everything', 'rotate keys') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart'), node: two }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('travel'), seconds: fc.constantFrom(20, 400, 1000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('check') }) },
);

export const sequences = fc.array(step, { minLength: 4, maxLength: 24 });

/** What one sign-in let one app do. */
export interface Family {
  readonly person: Two;
  readonly app: string;
  readonly isOffline: boolean;
  isOver: boolean;
}

/** A JWT access token. */
export interface Issued {
  readonly jwt: string;
  readonly client: string;
  readonly family?: Family;
  /** In milliseconds since the epoch. */
  readonly expiresAt: number;
  /** When it was reported that it is revoked, by `performance.now()`. */
  overAt?: number;
}

/** Which tokens are good: the rules of revoking, without anything of how it is done. */
export class Model {
  readonly families: Family[] = [];
  readonly issued: Issued[] = [];

  end(token: Issued): void {
    token.overAt ??= performance.now();
  }

  endWhere(isMeant: (token: Issued) => boolean): void {
    for (const token of this.issued) if (isMeant(token)) this.end(token);
  }

  /** All that came of a sign-in, also what another client got in exchange for it. */
  endFamilies(isMeant: (family: Family) => boolean): void {
    for (const family of this.families.filter(isMeant)) {
      family.isOver = true;
      this.endWhere((token) => token.family === family);
    }
  }

  endClient(client: string): void {
    this.endFamilies(({ app }) => app === client);
    this.endWhere((token) => token.client === client);
  }

  endEverything(): void {
    this.endFamilies(() => true);
    this.endWhere(() => true);
  }
}
