import type { AdapterPayload } from 'oidc-provider';
import { openSubjectNames, SUBJECT_NAMES } from '../../accounts/pairwise.ts';
import { clientKey } from '../../clients/clients.ts';
import { sectorOf } from '../../config/sections/sector.ts';
import type { Domain } from '../../domain/domain.ts';
import type { RevocationTarget } from '../../events/events.ts';
import { readAccessToken, verifyOurs } from '../../oidc/requests/issued-jwt.ts';
import { openRecord, sealedKeyspace, type Sealed } from '../../storage/store.ts';
import { readText } from '../text-files.ts';
import type { Terminal } from '../command.ts';

/** A planned revocation and its consequences for people. */
export interface Plan {
  target: RevocationTarget;
  /** Continues the text "revoking …". */
  what: string;
  lines: readonly string[];
}

export interface RevokeRequest {
  domain: Domain;
  terminal: Terminal;
  /** The value of `--before`, in milliseconds since the epoch. */
  before: number | undefined;
}

/** Plans the revocation of one token of any kind. A token that this server did not sign revokes nothing. */
export async function tokenPlan({ domain, terminal }: RevokeRequest, file: string): Promise<Plan | string> {
  const token = (await readText(file, terminal)).trim();
  const plan = (await planJwt(domain, token)) ?? (await planOpaque(domain, token));
  return plan ?? 'this server did not issue this token, or the token has expired or is already revoked';
}

async function planJwt({ config, records, keys }: Domain, token: string): Promise<Plan | undefined> {
  if (token.split('.').length !== 3) return undefined;
  const ring = await keys();
  const claims = await readAccessToken(verifyOurs({ issuer: config.issuer, ring }), token);
  if (claims === undefined) return undefined;
  const { client_id: client, sub, status, aud } = claims;
  const registered =
    config.clients.find(({ client_id: id }) => id === client) ?? (await records.get(clientKey(client)))?.value;
  const names = openSubjectNames(ring.derive(SUBJECT_NAMES));
  const account = sub.startsWith('acc_') ? names.accountFor(sub, registered && sectorOf(registered)) : undefined;
  const target: RevocationTarget = {
    ...{ what: 'token', client, token: status.status_list },
    ...(account !== undefined && { account }),
  };
  return { target, what: `an access token of client "${client}" for ${aud}`, lines: [OTHER_TOKENS_STAY] };
}

const OTHER_TOKENS_STAY =
  'the other tokens of the client stay valid: "latchkey revoke --client" and "--account" revoke them';

async function planOpaque({ grants }: Domain, token: string): Promise<Plan | undefined> {
  for (const kind of ['access-token', 'client-credentials', 'refresh-token']) {
    const record = sealedKeyspace<Sealed<AdapterPayload>>(kind)(token);
    const stored = await grants.get(record);
    if (stored === undefined) continue;
    const { clientId = '', accountId, grantId } = openRecord(token, stored.value);
    if (kind === 'refresh-token' && grantId !== undefined) {
      const lines = ['the token, and all refresh and access tokens of the same sign-in'];
      return { target: { what: 'grant', grant: grantId }, what: `a refresh token of client "${clientId}"`, lines };
    }
    const account = accountId === undefined ? {} : { account: accountId };
    const target: RevocationTarget = { what: 'token', client: clientId, ...account, token: { record } };
    return { target, what: `an access token of client "${clientId}"`, lines: [OTHER_TOKENS_STAY] };
  }
  return undefined;
}
