import { sha256 } from '../../lib/hash.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { IssuerKeys } from '../../issuers/issuer-keys.ts';
import type { Issuers } from '../../issuers/issuers.ts';
import { keyspace, type Store } from '../../storage/store.ts';
import { Examination, NOBODY, type Request, type Sources } from './examination.ts';
import type { Subjects } from './subject.ts';

export type Examiner = (request: Request) => Promise<Examination>;

export interface ExaminerParts {
  /** This server's issuer URL. */
  here: string;
  issuers: Issuers;
  keys: IssuerKeys;
  subjects: Subjects;
  claimOnce: Sources['claimOnce'];
  clock: Clock;
}

/** Prepares the facts that the checks of an assertion use. */
export function examiner({ here, issuers, keys, subjects, claimOnce, clock }: ExaminerParts): Examiner {
  const sources: Sources = {
    keyOf: (issuer, header) => keys.find(issuer, header),
    subjectOf: (issuer, claims) => subjects.find(issuer, claims),
    claimOnce,
  };
  return async (request) => {
    const { iss } = request.assertion.claims.members;
    const issuer = typeof iss === 'string' ? await issuers.find(iss) : undefined;
    return new Examination({ request, issuer: issuer ?? NOBODY, here, now: epochSeconds(clock), sources });
  };
}

const usedAssertion = keyspace<{ used: true }>('used-assertion');

/** Allows each `jti` of an issuer once on all nodes that share the store (RFC 7523 §3, item 7). */
export function usedAssertions(grants: Store): { claimOnce: Sources['claimOnce']; isFree: Sources['claimOnce'] } {
  const keyOf = (issuer: string, jti: string) => usedAssertion(sha256(JSON.stringify([issuer, jti])));
  return {
    claimOnce: (issuer, jti, life) => grants.create(keyOf(issuer, jti), { used: true }, { ttl: life }),
    /** Checks without recording the use. */
    isFree: async (issuer, jti) => (await grants.get(keyOf(issuer, jti))) === undefined,
  };
}
