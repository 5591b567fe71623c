import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  errors,
  jwtVerify,
  type JWTPayload,
} from 'jose';
import type { Metadata } from '../clients/self-description.ts';
import type { Config } from '../config/schema.ts';
import type { Clock } from '../lib/clock.ts';
import { Refusal } from './refusal.ts';

type Rules = Config['registration']['software_statements'];
type KeyFinder = Parameters<typeof jwtVerify>[1];

/** Signatures that everybody can verify and only the issuer can make. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

export interface SoftwareStatements {
  /**
   * What a statement says of the client, to go over what the client says itself (RFC 7591 §3.1.1).
   * @param known the one that the client registered with, which was verified then
   * @throws Refusal
   */
  read(metadata: Metadata, known?: string): Promise<Vouched>;
}

export interface Vouched {
  readonly claims: Metadata;
  readonly statement?: string;
  readonly issuer?: string;
}

export function openSoftwareStatements(parts: {
  rules: Rules;
  issuer: string;
  clock: Clock;
  fetch: typeof fetch;
}): SoftwareStatements {
  const { rules, issuer, clock } = parts;
  const keys = new Map(rules.issuers.map((trusted) => [trusted.issuer, keysOf(trusted, parts.fetch)]));
  return {
    async read({ software_statement: given }, known) {
      // Without it the client could take back by an update what others vouched for.
      const statement = given ?? known;
      if (statement === undefined && !rules.required) return { claims: {} };
      if (typeof statement !== 'string')
        throw new Refusal('invalid_software_statement', 'a software statement is required');
      const said = claimsOf(statement);
      if (statement !== known) await verify(statement, said);
      return { claims: said, statement, ...(said.iss !== undefined && { issuer: said.iss }) };
    },
  };

  async function verify(statement: string, { iss = '', aud }: JWTPayload): Promise<void> {
    const finder = keys.get(iss);
    if (finder === undefined) throw new Refusal('unapproved_software_statement', 'its issuer is not trusted here');
    const now = new Date(clock.now());
    // Any other token of that issuer is signed by the same keys: this claim makes it a statement about software.
    const options = { algorithms: ALGORITHMS, currentDate: now, requiredClaims: ['software_id'] };
    const audience = aud === undefined ? {} : { audience: issuer };
    await jwtVerify(statement, finder, { issuer: iss, ...options, ...audience }).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : 'unknown';
      throw new Refusal('invalid_software_statement', 'it is not valid', { reason });
    });
  }
}

function claimsOf(statement: string): JWTPayload {
  try {
    return decodeJwt(statement);
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Refusal('invalid_software_statement', 'it is not a JWT');
  }
}

function keysOf({ jwks, jwks_uri: uri }: Rules['issuers'][number], outgoing: typeof fetch): KeyFinder {
  if (uri !== undefined) return createRemoteJWKSet(new URL(uri), { [customFetch]: outgoing });
  return createLocalJWKSet({ keys: jwks?.keys ?? [] });
}
