import {
  decodeJwt,
  errors,
  jwtVerify,
  type JWK,
  type JWSHeaderParameters,
  type JWTHeaderParameters,
  type JWTPayload,
} from 'jose';
import type { Metadata } from '../clients/self-description.ts';
import type { Config } from '../config/schema.ts';
import { IssuerKeys } from '../issuers/issuer-keys.ts';
import type { Clock } from '../lib/clock.ts';
import type { KeySets } from '../outgoing/key-sets.ts';
import { Refusal } from '../http/refusal.ts';

type Rules = Config['registration']['software_statements'];

/** Asymmetric algorithms, so that only the issuer can sign. */
const ALGORITHMS = ['ES256', 'ES384', 'ES512', 'RS256', 'PS256', 'EdDSA', 'Ed25519'];

export interface SoftwareStatements {
  /**
   * Reads the claims of a software statement, which override the client's own metadata (RFC 7591 §3.1.1).
   * @param known the statement that was verified at registration
   * @throws Refusal
   */
  read(metadata: Metadata, known?: string): Promise<Vouched>;
}

interface Vouched {
  readonly claims: Metadata;
  readonly statement?: string;
  readonly issuer?: string;
}

export function openSoftwareStatements(dependencies: {
  rules: Rules;
  issuer: string;
  clock: Clock;
  keySets: KeySets;
}): SoftwareStatements {
  const { rules, issuer, clock } = dependencies;
  const keys = new IssuerKeys(dependencies.keySets);
  const trusted = new Map(rules.issuers.map((one) => [one.issuer, one]));
  return {
    async read({ software_statement: given }, known) {
      // An update without a statement keeps the earlier one, so that it cannot undo the statement's claims.
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
    const voucher = trusted.get(iss);
    if (voucher === undefined) throw new Refusal('unapproved_software_statement', 'its issuer is not trusted here');
    const now = new Date(clock.now());
    // An issuer may sign other tokens with the same keys. The claim `software_id` marks a software statement.
    const options = { algorithms: ALGORITHMS, currentDate: now, requiredClaims: ['software_id'] };
    const audience = aud === undefined ? {} : { audience: issuer };
    const keyOf = async ({ kid, alg = '' }: JWSHeaderParameters): Promise<JWK> => {
      const choice = await keys.find(voucher, { kid, alg });
      if (typeof choice === 'string') throw new Error(`the key of its signature is ${choice}`);
      return choice.jwk;
    };
    const verified = await jwtVerify(statement, keyOf, { issuer: iss, ...options, ...audience }).catch(
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : 'unknown';
        throw new Refusal('invalid_software_statement', 'it is not valid', { reason });
      },
    );
    refuseForeignHeader(verified.protectedHeader);
  }
}

/**
 * Refuses the `typ` of another kind of JWT (RFC 8725 §3.11); RFC 7591 defines none for statements. Also refuses header
 * extensions, because none is supported (RFC 7515 §4.1.11).
 */
function refuseForeignHeader({ typ = 'JWT', ...header }: JWTHeaderParameters): void {
  if (!/^jwt$/i.test(typ))
    throw new Refusal('invalid_software_statement', 'its type (typ) is that of another kind of JWT');
  if ('crit' in header || 'b64' in header)
    throw new Refusal('invalid_software_statement', 'its header demands an extension (crit, b64)');
}

function claimsOf(statement: string): JWTPayload {
  try {
    return decodeJwt(statement);
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error;
    throw new Refusal('invalid_software_statement', 'it is not a JWT');
  }
}
