import { compactVerify } from 'jose';
import type { TrustedIssuer } from '../../config/schema.ts';
import type { KeyChoice, IssuerKeys } from '../../issuers/issuer-keys.ts';
import { sha256 } from '../../lib/hash.ts';
import { epochSeconds, type Clock } from '../../lib/clock.ts';
import type { Issuers } from '../../issuers/issuers.ts';
import { assertionsNotBefore } from '../../sessions/not-before.ts';
import { keyspace, type Store } from '../../storage/store.ts';
import type { Assertion, Members } from './assertion.ts';
import type { Subject, Subjects } from './subject.ts';

/**
 * Largest difference in seconds between two nodes' estimates of the store's time. A node judges an assertion by its own
 * estimate, so the server remembers a used assertion for that much longer.
 */
const TIME_ESTIMATES_DIFFER_BY = 60;

/** The client that presents an assertion. */
interface Bearer {
  readonly id: string;
  /** True if the client has authenticated. */
  readonly isProved: boolean;
  readonly resources: readonly string[];
  readonly defaultResource?: string | undefined;
}

/** A client's token request with an assertion. */
export interface Request {
  readonly assertion: Assertion;
  readonly client: Bearer;
  readonly scopes: readonly string[];
  readonly resources: readonly string[];
  /** Thumbprint of the key whose possession the sender proves (RFC 9449 §6.1). */
  readonly jkt?: string | undefined;
}

/** Look-ups for facts that the assertion does not contain. */
interface Sources {
  readonly keyOf: (issuer: TrustedIssuer, header: { kid?: string; alg: string }) => Promise<KeyChoice>;
  readonly subjectOf: (issuer: TrustedIssuer, claims: Members) => Promise<Subject>;
  /**
   * Claims the single use of an assertion. @param life seconds for which the use must be remembered @returns whether
   * this is the first use
   */
  readonly claimOnce: (issuer: string, jti: string, life: number, issuedAt: number) => Promise<boolean>;
}

/** All facts that the checks may use. A fact from outside the request is fetched when a check first needs it. */
export class Examination {
  readonly request: Request;
  readonly header: Members;
  readonly claims: Members;
  /** The issuer named by `iss`; {@link UNKNOWN_ISSUER} if it is unknown. */
  readonly issuer: TrustedIssuer;
  /** This server's issuer URL. */
  readonly here: string;
  /** The current time in seconds since the epoch. */
  readonly now: number;
  readonly #sources: Sources;
  #key: Promise<KeyChoice> | undefined;
  #subject: Promise<Subject> | undefined;

  constructor(of: { request: Request; issuer: TrustedIssuer; here: string; now: number; sources: Sources }) {
    this.request = of.request;
    this.header = of.request.assertion.header.members;
    this.claims = of.request.assertion.claims.members;
    this.issuer = of.issuer;
    this.here = of.here;
    this.now = of.now;
    this.#sources = of.sources;
  }

  get isIdJag(): boolean {
    return this.type === 'oauth-id-jag+jwt';
  }

  /** The media type in its short form (RFC 7515 §4.1.9); `jwt` if the token has none. */
  get type(): string {
    const { typ = 'JWT' } = this.header;
    return typeof typ === 'string' ? typ.toLowerCase().replace(/^application\//, '') : '';
  }

  key(): Promise<KeyChoice> {
    const { kid, alg } = this.header;
    const header = { alg: String(alg), ...(typeof kid === 'string' && { kid }) };
    this.#key ??= this.#sources.keyOf(this.issuer, header);
    return this.#key;
  }

  async isSigned(): Promise<boolean> {
    const key = await this.key();
    if (typeof key === 'string') return false;
    try {
      await compactVerify(this.request.assertion.text, key.jwk, { algorithms: [String(this.header['alg'])] });
      return true;
    } catch {
      return false;
    }
  }

  subject(): Promise<Subject> {
    this.#subject ??= this.#sources.subjectOf(this.issuer, this.claims);
    return this.#subject;
  }

  isFirst(): Promise<boolean> {
    const { jti, exp, iat = Number(exp) - this.issuer.max_lifetime } = this.claims;
    const life = Number(exp) + this.issuer.clock_skew + TIME_ESTIMATES_DIFFER_BY - this.now;
    return this.#sources.claimOnce(this.issuer.issuer, String(jti), Math.max(1, Math.ceil(life)), Number(iat) * 1000);
  }

  /** The requested scopes, or else those that the assertion grants. */
  get scopes(): readonly string[] {
    return this.request.scopes.length > 0 ? this.request.scopes : (this.grantedScopes ?? []);
  }

  /** The scopes that an ID-JAG grants. Other assertions leave them to the issuer's policy. */
  get grantedScopes(): readonly string[] | undefined {
    const { scope } = this.claims;
    if (!this.isIdJag || scope === undefined) return undefined;
    return typeof scope === 'string' ? scope.split(' ').filter((name) => name !== '') : [];
  }

  get grantedResources(): readonly string[] | undefined {
    const { resource } = this.claims;
    if (!this.isIdJag || resource === undefined) return undefined;
    return [resource].flat().filter((one) => typeof one === 'string');
  }

  /** The API that the token is for; `undefined` if nothing names exactly one. */
  get resource(): string | undefined {
    const { client, resources } = this.request;
    const named = resources.length > 0 ? resources : this.grantedResources;
    if (named !== undefined) return named.length === 1 ? named[0] : undefined;
    if (client.defaultResource !== undefined) return client.defaultResource;
    return this.issuer.resources.length === 1 ? this.issuer.resources[0] : undefined;
  }
}

/** Placeholder for an unknown issuer. It trusts nothing, so that even a check that runs too early refuses. */
const UNKNOWN_ISSUER: TrustedIssuer = {
  issuer: '',
  algorithms: [],
  token_types: [],
  claims: {},
  subject: { is: 'account', claim: 'sub', match_email: false, links: {}, roles: [] },
  clients: [],
  resources: [],
  scopes: [],
  max_lifetime: 0,
  clock_skew: 0,
};

/** A condition that an assertion must meet. */
export interface Check {
  /** Reason for the refusal, for the log and for `latchkey issuers test`. The client sees `invalid_grant`. */
  reason: string;
  /** The condition in words, for the operator. */
  says: string;
  holds: (it: Examination) => boolean | Promise<boolean>;
}

/** Tells whether a value is a text that can be compared, stored and shown on one line. */
export function isText(value: unknown, longest = 255): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= longest && !/[\p{Cc}\p{Cs}]/u.test(value);
}

export type Examiner = (request: Request) => Promise<Examination>;

interface ExaminerDependencies {
  /** This server's issuer URL. */
  here: string;
  issuers: Issuers;
  keys: IssuerKeys;
  subjects: Subjects;
  claimOnce: Sources['claimOnce'];
  clock: Clock;
}

/** Prepares the facts that the checks of an assertion use. */
export function examiner({ here, issuers, keys, subjects, claimOnce, clock }: ExaminerDependencies): Examiner {
  const sources: Sources = {
    keyOf: (issuer, header) => keys.find(issuer, header),
    subjectOf: (issuer, claims) => subjects.find(issuer, claims),
    claimOnce,
  };
  return async (request) => {
    const { iss } = request.assertion.claims.members;
    const issuer = typeof iss === 'string' ? await issuers.find(iss) : undefined;
    return new Examination({ request, issuer: issuer ?? UNKNOWN_ISSUER, here, now: epochSeconds(clock), sources });
  };
}

const usedAssertion = keyspace<{ used: true }>('used-assertion');

/**
 * Allows each `jti` of an issuer once on all nodes that share the store (RFC 7523 §3, item 7). A restored store does
 * not know which assertions were used since its backup, so the server refuses all assertions that were issued before
 * the restore.
 */
export function usedAssertions(grants: Store): { claimOnce: Sources['claimOnce']; isFree: Sources['claimOnce'] } {
  const keyOf = (issuer: string, jti: string) => usedAssertion(sha256(JSON.stringify([issuer, jti])));
  const isKnown = async (issuedAt: number): Promise<boolean> => issuedAt >= (await assertionsNotBefore(grants));
  return {
    async claimOnce(issuer, jti, life, issuedAt) {
      const claim = grants.create(keyOf(issuer, jti), { used: true }, { ttl: life });
      return (await Promise.all([claim, isKnown(issuedAt)])).every(Boolean);
    },
    /** Tells whether the assertion is unused, without recording a use. */
    async isFree(issuer, jti, _life, issuedAt) {
      const [found, known] = await Promise.all([grants.get(keyOf(issuer, jti)), isKnown(issuedAt)]);
      return known && found === undefined;
    },
  };
}
