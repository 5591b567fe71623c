import type { KoaContextWithOIDC } from 'oidc-provider';
import type { KeptAnswers, NoteGiven } from './kept-answers.ts';
import type { RefreshTokens, UsedToken } from './refresh-tokens.ts';

/** Verdict on a used refresh token that is presented again. */
export type Judgement =
  | { is: 'repeat'; body: unknown; noteGiven: NoteGiven }
  /** From the client that got the answer, but with another request: two tabs may want tokens for two APIs at once. */
  | { is: 'other' }
  /** The time for repeating its answer is over. */
  | { is: 'late'; reason: string }
  | { is: 'foreign'; reason: string };

/** Serializes the request's scope, resources and authorization details. Equal requests give equal texts. */
export function askedFor({ oidc: { params = {} } }: KoaContextWithOIDC): string {
  const { scope, resource, authorization_details: details } = params;
  const scopes = typeof scope === 'string' ? scope.split(' ') : [];
  return JSON.stringify([sorted(scopes), sorted([resource ?? []].flat()), details ?? null]);
}

/**
 * Judges a used refresh token. Its client lost the response, or shares it with another tab, or it was stolen (RFC 9700
 * §4.14.2). @param request with `sender`, the key whose possession the request proves
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
