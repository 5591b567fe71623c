import type { TokenEndpointGrantContext } from 'oidc-provider';
import { z } from 'zod';
import type { Act } from './actors.ts';
import type { Policy, PresentedToken } from './presented-token.ts';
import { TOKEN_TYPE } from './token-types.ts';

const text = z.string().optional();
const list = z.union([z.string().transform((one) => [one]), z.array(z.string())]).default([]);

/** Parameters of a token exchange request (RFC 8693 §2.1). */
export const parametersSchema = z.object({
  subject_token: z.string('subject_token is required'),
  subject_token_type: z.string('subject_token_type is required'),
  actor_token: text,
  actor_token_type: text,
  requested_token_type: z.string().default(TOKEN_TYPE.access_token),
  resource: list,
  audience: list,
  scope: text,
});

/** An exchange whose client and presented tokens have passed all checks. The new token is still to be issued. */
export interface Exchange {
  policy: Policy;
  parameters: z.infer<typeof parametersSchema>;
  subject: PresentedToken;
  actor: PresentedToken | undefined;
  /** The `act` claim of the new token. */
  act: Act | undefined;
}

/** Writes the requested token into `context.body`. */
export type IssueToken = (context: TokenEndpointGrantContext, exchange: Exchange) => Promise<void>;
