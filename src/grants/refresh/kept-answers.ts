import type { Random } from '../../lib/random.ts';
import { seal, unseal } from '../../lib/seal.ts';
import { keyspace, type Store } from '../../storage/store.ts';

/** What a refresh was answered with, and what it had asked for. */
export interface KeptAnswer {
  body: unknown;
  /** The key that the sender proved to hold; the access token is bound to it. */
  sender: string | undefined;
  /** The rest of the request, in a form that is the same for the same. */
  asked: string;
}

const answerKey = keyspace<{ sealed: string }>('refresh-answer');

/**
 * The answers of the last moments, each under the name of its refresh token, sealed with the token that was presented for
 * it: who has only the store cannot open it, nor can who has the answer's own token.
 */
export class KeptAnswers {
  readonly #grants: Store;
  readonly #random: Random;

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /** @param ttl in seconds */
  async keep(presented: string, successor: string, answer: KeptAnswer, ttl: number): Promise<void> {
    const sealed = seal(presented, JSON.stringify(answer), this.#random);
    await this.#grants.set(answerKey(successor), { sealed }, { ttl });
  }

  async find(presented: string, successor: string): Promise<KeptAnswer | undefined> {
    const stored = await this.#grants.get(answerKey(successor));
    return stored && (JSON.parse(unseal(presented, stored.value.sealed)) as KeptAnswer);
  }

  /** For an answer that nobody was given. */
  async forget(successor: string): Promise<void> {
    await this.#grants.delete(answerKey(successor));
  }
}
