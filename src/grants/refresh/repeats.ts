import type { KoaContextWithOIDC } from 'oidc-provider';
import type { KeptAnswers, NoteGiven } from './kept-answers.ts';
import type { RefreshTokens, UsedToken } from './refresh-tokens.ts';

/** What it means that a used token is presented. */
export type Judgement =
  | { is: 'repeat'; body: unknown; noteGiven: NoteGiven }
  /** From who was given the answer, but for something else: two tabs may want tokens for two APIs at once. */
  | { is: 'other' }
  /** Its answer has had its time. */
  | { is: 'late'; reason: string }
  | { is: 'foreign'; reason: string };

/** What is asked for besides a refresh, as a text that is the same for the same. */
export function askedFor({ oidc: { params = {} } }: KoaContextWithOIDC): string {
  const { scope, resource, authorization_details: details } = params;
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  return JSON.stringify([sorted(scopes), sorted([resource ?? []].flat()), details ?? null]);
}

/**
 * Who presents a used token has lost its answer, or shares it with another tab, or has stolen it (RFC 9700 §4.14.2).
 * @param request whose `sender` is the key that it proves to hold
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
