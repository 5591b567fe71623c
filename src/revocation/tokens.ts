import type { TokenTarget } from '../events/events.ts';
import {
  clientsWithTokens,
  tokensOfAccount,
  tokensOfClient,
  tokensOfGrant,
  tokensOfTrustedIssuer,
} from '../status/token-indexes.ts';
import { revoker, type RevokerDependencies } from '../status/revoker.ts';
import { forEachAtOnce } from '../storage/every-member.ts';
import type { Index } from '../storage/store.ts';

/** Access tokens (JWTs and opaque ones), codes and refresh tokens. */
export interface Tokens {
  end(token: TokenTarget['token']): Promise<void>;
  endOfGrants(grants: readonly string[]): Promise<void>;
  /** Revokes the grants' access tokens alone. */
  endAccessOfGrants(grants: readonly string[], before: number): Promise<void>;
  /**
   * Revokes an account's tokens without a grant, such as those for assertions. `before` is in milliseconds since the
   * epoch, here and below.
   */
  endOfAccount(account: string, before: number): Promise<void>;
  endOfClient(client: string, before: number): Promise<void>;
  endOfTrustedIssuer(issuer: string, before: number): Promise<void>;
  endOfEveryClient(before: number): Promise<void>;
}

export function openTokens(parts: RevokerDependencies): Tokens {
  const issued = revoker(parts);
  const endIn = async (indexes: readonly Index<unknown>[], startedBefore?: number): Promise<void> => {
    await issued.revokeMembers(indexes, { startedBefore });
  };
  return {
    async end(token) {
      if ('record' in token) await parts.grants.delete(token.record);
      else await issued.revokeToken(token);
    },
    endOfGrants: (grants) => endIn(grants.map(tokensOfGrant)),
    async endAccessOfGrants(grants, startedBefore) {
      await issued.revokeMembers(grants.map(tokensOfGrant), { startedBefore, accessOnly: true });
    },
    endOfAccount: (account, before) => endIn([tokensOfAccount(account)], before),
    // A token that another client got by exchange counts as the former client's too.
    endOfClient: (client, before) => endIn([tokensOfClient(client), tokensOfAccount(client)], before),
    endOfTrustedIssuer: (issuer, before) => endIn([tokensOfTrustedIssuer(issuer)], before),
    async endOfEveryClient(before) {
      const ended = new Set<string>();
      for await (const clients of clientsWithTokens(parts.grants)) {
        const others = [...new Set(clients)].filter((client) => !ended.has(client));
        for (const client of others) ended.add(client);
        await forEachAtOnce(others, (client) => this.endOfClient(client, before));
      }
    },
  };
}
