import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Random } from '../../lib/random.ts';
import { keyspace, openRecord, sealRecord, type Sealed, type Store } from '../../storage/store.ts';
import type { RefreshTokens, UsedToken } from './refresh-tokens.ts';

/** A refresh response, with the request that it answered. */
interface KeptAnswer {
  body: unknown;
  /** The key whose possession the sender proved; the access token is bound to it. */
  sender: string | undefined;
  /** The rest of the request, serialized so that equal requests give equal texts. */
  asked: string;
}

/** Records that an answer was sent. From then on, it is kept for `ttl` seconds. */
export type NoteGiven = (ttl: number) => Promise<void>;

interface AnswerRecord extends Sealed<KeptAnswer> {
  isGiven?: true;
}

const answerKey = keyspace<AnswerRecord>('refresh-answer');

/**
 * Recent refresh responses. Each is stored under the name of its new refresh token, and sealed with the presented
 * token. So neither the store nor the new token is enough to open it. A response that was never sent is kept for
 * longer.
 */
export class KeptAnswers {
  readonly #grants: Store;
  readonly #random: Random;

  constructor(grants: Store, random: Random) {
    this.#grants = grants;
    this.#random = random;
  }

  /** @param ttl seconds for which the answer is kept if it is never sent */
  async keep(presented: string, successor: string, answer: KeptAnswer, ttl: number): Promise<NoteGiven> {
    const record = sealRecord(presented, answer, this.#random);
    await this.#grants.set(answerKey(successor), record, { ttl });
    return this.#noteFor(successor, record);
  }

  async find(presented: string, successor: string): Promise<{ answer: KeptAnswer; noteGiven: NoteGiven } | undefined> {
    const stored = await this.#grants.get(answerKey(successor));
    if (stored === undefined) return undefined;
    const answer = openRecord(presented, stored.value);
    return { answer, noteGiven: this.#noteFor(successor, stored.value) };
  }

  #noteFor(successor: string, record: AnswerRecord): NoteGiven {
    return async (ttl) => {
      if (record.isGiven === undefined)
        await this.#grants.set(answerKey(successor), { ...record, isGiven: true }, { ttl });
    };
  }

  /** Deletes an answer that was not sent. */
  async forget(successor: string): Promise<void> {
    await this.#grants.delete(answerKey(successor));
  }
}

/** Verdict on a used refresh token that is presented again. */
type Judgement =
  | { is: 'repeat'; body: unknown; noteGiven: NoteGiven }
  /** The same client sent another request: two tabs may want tokens for two APIs at once. */
  | { is: 'other' }
  /** The time for repeating the answer is over. */
  | { is: 'late'; reason: string }
  | { is: 'foreign'; reason: string };

/** Serializes the request's scope, resources and authorization details. Equal requests give equal texts. */
export function askedFor({ oidc: { params = {} } }: KoaContextWithOIDC): string {
  const { scope, resource, authorization_details: details } = params;
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  return JSON.stringify([sorted(scopes), sorted([resource ?? []].flat()), details ?? null]);
}

/**
 * Judges a used refresh token that is presented again. The client lost the response or shares the token with another
 * tab, or somebody stole the token (RFC 9700 §4.14.2). @param request the request, and the key whose possession it
 * proves
 */
export async function judge(
  { context, sender }: { context: KoaContextWithOIDC; sender: string | undefined },
  { payload, use, value }: UsedToken,
  { tokens, answers }: { tokens: RefreshTokens; answers: KeptAnswers },
): Promise<Judgement> {
  if (payload.clientId !== context.oidc.client?.clientId) return { is: 'foreign', reason: 'from another client' };
  const [kept, isUnused] = await Promise.all([answers.find(value, use.successor), tokens.isUnused(use.successor)]);
  if (!isUnused) return { is: 'late', reason: 'after its successor was used' };
  if (kept === undefined) return { is: 'late', reason: 'after its window' };
  const { answer, noteGiven } = kept;
  if (answer.sender !== sender) return { is: 'foreign', reason: 'with another key' };
  return answer.asked === askedFor(context) ? { is: 'repeat', body: answer.body, noteGiven } : { is: 'other' };
}

function sorted(names: unknown[]): string[] {
  return [...new Set(names.map(String))].sort();
}
