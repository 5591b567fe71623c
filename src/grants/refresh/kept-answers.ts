import type { Random } from '../../lib/random.ts';
import { seal, unseal } from '../../lib/seal.ts';
import { keyspace, type Store } from '../../storage/store.ts';

/** A refresh response, with the request that it answered. */
export interface KeptAnswer {
  body: unknown;
  /** The key whose possession the sender proved; the access token is bound to it. */
  sender: string | undefined;
  /** The rest of the request, serialized so that equal requests give equal texts. */
  asked: string;
}

/** Records that an answer was sent: it is kept for `ttl` more seconds. */
export type NoteGiven = (ttl: number) => Promise<void>;

interface Sealed {
  sealed: string;
  isGiven?: true;
}

const answerKey = keyspace<Sealed>('refresh-answer');

/**
 * Recent refresh responses. Each is stored under its new refresh token's name and sealed with the presented token.
 * Neither the store alone nor the holder of the new token can open it. A response that was never sent stays.
 */
export class KeptAnswers {
  readonly #grants: Store;
  readonly #random: Random;

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /** @param ttl in seconds, while the answer was not sent */
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

  /** Deletes an answer that was not sent. */
  async forget(successor: string): Promise<void> {
    await this.#grants.delete(answerKey(successor));
  }
}
