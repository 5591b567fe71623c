import type { TokenTarget } from '../events/events.ts';
import {
  clientsWithTokens,
  tokensOfAccount,
  tokensOfClient,
  tokensOfGrant,
  tokensOfTrustedIssuer,
} from '../status/token-indexes.ts';
import { revoker, type RevokerDependencies } from '../status/revoker.ts';
import { forEachConcurrently } from '../storage/every-member.ts';
import type { Index } from '../storage/store.ts';

/** Revokes access tokens (JWTs and opaque ones), codes and refresh tokens. */
export interface Tokens {
  end(token: TokenTarget['token']): Promise<void>;
  endOfGrants(grants: readonly string[]): Promise<void>;
  /** Revokes only the access tokens of the grants. */
  endAccessOfGrants(grants: readonly string[], before: number): Promise<void>;
  /**
   * Revokes the tokens of an account that have no grant, such as those issued for assertions. `before` is in
   * milliseconds since the epoch, here and below.
   */
  endOfAccount(account: string, before: number): Promise<void>;
  endOfClient(client: string, before: number): Promise<void>;
  endOfTrustedIssuer(issuer: string, before: number): Promise<void>;
  endOfEveryClient(before: number): Promise<void>;
}

export function openTokens(dependencies: RevokerDependencies): Tokens {
  const issued = revoker(dependencies);
  const endIn = async (indexes: readonly Index<unknown>[], startedBefore?: number): Promise<void> => {
    await issued.revokeMembers(indexes, { startedBefore });
  };
  return {
    async end(token) {
      if ('record' in token) await dependencies.grants.delete(token.record);
      else await issued.revokeToken(token);
    },
    endOfGrants: (grants) => endIn(grants.map(tokensOfGrant)),
    async endAccessOfGrants(grants, startedBefore) {
      await issued.revokeMembers(grants.map(tokensOfGrant), { startedBefore, accessOnly: true });
    },
    endOfAccount: (account, before) => endIn([tokensOfAccount(account)], before),
    // The client's index also lists the tokens that other clients got in exchange for its own.
    endOfClient: (client, before) => endIn([tokensOfClient(client), tokensOfAccount(client)], before),
    endOfTrustedIssuer: (issuer, before) => endIn([tokensOfTrustedIssuer(issuer)], before),
    async endOfEveryClient(before) {
      const ended = new Set<string>();
      for await (const clients of clientsWithTokens(dependencies.grants)) {
        const others = [...new Set(clients)].filter((client) => !ended.has(client));
        for (const client of others) ended.add(client);
        await forEachConcurrently(others, (client) => this.endOfClient(client, before));
      }
    },
  };
}
