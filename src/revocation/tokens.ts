import type { TokenTarget } from '../events/revocations.ts';
import {
  clientsWithTokens,
  tokensOfAccount,
  tokensOfClient,
  tokensOfGrant,
  tokensOfTrustedIssuer,
} from '../status/ledger.ts';
import { revoker, type RevokerParts } from '../status/revoker.ts';
import type { Index } from '../storage/store.ts';

/** Access tokens, JWTs and opaque ones, and what gives more of them: codes and refresh tokens. */
export interface Tokens {
  end(token: TokenTarget['token']): Promise<void>;
  endOfGrant(grant: string): Promise<void>;
  /** Its access tokens alone. */
  endAccessOfGrant(grant: string, before: number): Promise<void>;
  /** Those that nobody granted: of assertions. `before` is in milliseconds since the epoch, here and below. */
  endOfAccount(account: string, before: number): Promise<void>;
  endOfClient(client: string, before: number): Promise<void>;
  endOfTrustedIssuer(issuer: string, before: number): Promise<void>;
  endOfEveryClient(before: number): Promise<void>;
}

export function openTokens(parts: RevokerParts): Tokens {
  const issued = revoker(parts);
  const endIn = async (index: Index<unknown>, startedBefore?: number): Promise<void> => {
    await issued.revokeMembers(index, { startedBefore });
  };
  return {
    async end(token) {
      if ('record' in token) await parts.grants.delete(token.record);
      else await issued.revokeToken(token);
    },
    endOfGrant: (grant) => endIn(tokensOfGrant(grant)),
    async endAccessOfGrant(grant, startedBefore) {
      await issued.revokeMembers(tokensOfGrant(grant), { startedBefore, accessOnly: true });
    },
    endOfAccount: (account, before) => endIn(tokensOfAccount(account), before),
    async endOfClient(client, before) {
      await endIn(tokensOfClient(client), before);
      // What others have exchanged its own tokens for speaks for it, as for an account.
      await endIn(tokensOfAccount(client), before);
    },
    endOfTrustedIssuer: (issuer, before) => endIn(tokensOfTrustedIssuer(issuer), before),
    async endOfEveryClient(before) {
      const ended = new Set<string>();
      for await (const clients of clientsWithTokens(parts.grants))
        for (const client of clients) {
          if (!ended.has(client)) await this.endOfClient(client, before);
          ended.add(client);
        }
    },
  };
}
