import type { Random } from '../../lib/random.ts';
import { seal, unseal } from '../../lib/seal.ts';
import { keyspace, type Store } from '../../storage/store.ts';

/** A refresh response, with the request that it answered. */
export interface KeptAnswer {
  body: unknown;
  /** The key that the sender proved to hold; the access token is bound to it. */
  sender: string | undefined;
  /** The rest of the request, serialized so that equal requests are equal texts. */
  asked: string;
}

/** Notes that an answer was given out: it is there for `ttl` seconds more. */
export type NoteGiven = (ttl: number) => Promise<void>;

interface Sealed {
  sealed: string;
  isGiven?: true;
}

const answerKey = keyspace<Sealed>('refresh-answer');

/**
 * The answers of the last moments, each under the name of its refresh token, sealed with the token that was presented for
 * it: who has only the store cannot open it, nor can who has the answer's own token. One that nobody was given stays.
 */
export class KeptAnswers {
  readonly #grants: Store;
  readonly #random: Random;

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /** @param ttl in seconds, for as long as nobody is given it */
  async keep(presented: string, successor: string, answer: KeptAnswer, ttl: number): Promise<NoteGiven> {
    const sealed = seal(presented, JSON.stringify(answer), this.#random);
    await this.#grants.set(answerKey(successor), { sealed }, { ttl });
    return this.#noteFor(successor, { sealed });
  }

  async find(presented: string, successor: string): Promise<{ answer: KeptAnswer; noteGiven: NoteGiven } | undefined> {
    const stored = await this.#grants.get(answerKey(successor));
    if (stored === undefined) return undefined;
    const answer = JSON.parse(unseal(presented, stored.value.sealed)) as KeptAnswer;
    return { answer, noteGiven: this.#noteFor(successor, stored.value) };
  }

  #noteFor(successor: string, { sealed, isGiven }: Sealed): NoteGiven {
    return async (ttl) => {
      if (isGiven === undefined) await this.#grants.set(answerKey(successor), { sealed, isGiven: true }, { ttl });
    };
  }

  /** For an answer that nobody was given. */
  async forget(successor: string): Promise<void> {
    await this.#grants.delete(answerKey(successor));
  }
}
