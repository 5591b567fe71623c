import type { AccessToken } from './access-token.ts';
import { refusalAnswer, type Answer, type Challenges } from './answer.ts';
import { type ApiRequest, credentialsOf, schemeOf } from './api-request.ts';
import { AccessRefused } from './errors.ts';
import { checkSender, type SenderRules } from './sender.ts';

/** The decision about a request: an accepted token, or a refusal with the response to send. */
export type Decision =
  | {
      readonly token: AccessToken;
      /** Headers to add to the API's own response. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | (Answer & { readonly token: undefined; readonly refusal: AccessRefused });

export interface DecisionRules {
  readToken: (token: string) => Promise<AccessToken>;
  sender: SenderRules;
  /** Checks that the token is not revoked. Returns undefined instead of a promise if that needs no fetch. */
  checkStatus: (token: AccessToken) => Promise<void> | undefined;
  challenges: Challenges;
  onRefusal: ((refusal: AccessRefused, request: ApiRequest) => void) | undefined;
}

/** Accepts or refuses a request. @param demand throws if a valid token does not meet the requirements */
export async function decide(
  request: ApiRequest,
  demand: (token: AccessToken) => void,
  rules: DecisionRules,
): Promise<Decision> {
  try {
    const credentials = credentialsOf(request, rules.challenges.schemes);
    const token = await rules.readToken(credentials.token);
    const needsNonce = await checkSender(token.claims, credentials, request, rules.sender);
    await rules.checkStatus(token);
    demand(token);
    return { token, headers: needsNonce ? await nonceHeader(rules.sender) : {} };
  } catch (error) {
    if (!(error instanceof AccessRefused)) throw error;
    rules.onRefusal?.(error, request);
    return await refuse(request, error, rules);
  }
}

async function refuse(
  request: ApiRequest,
  refusal: AccessRefused,
  { challenges, sender }: DecisionRules,
): Promise<Decision> {
  const used = schemeOf(request.headers('authorization')[0] ?? '', challenges.schemes);
  const answer = refusalAnswer(refusal, used, challenges);
  const headers = { ...answer.headers, ...(used === 'DPoP' && (await nonceHeader(sender))) };
  return { ...answer, headers, token: undefined, refusal };
}

async function nonceHeader({ proofs }: SenderRules): Promise<Record<string, string>> {
  return proofs.nonces === undefined ? {} : { 'DPoP-Nonce': await proofs.nonces.current() };
}
