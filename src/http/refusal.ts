import type { Context } from 'koa';
import type { Route } from './route.ts';

/**
 * HTTP statuses by error code. The codes come from RFC 6750 §3.1, RFC 7591 §3.2.2, Shared Signals Framework 1.0 §8.1
 * and, for temporary failures, RFC 6749 §4.1.2.1.
 */
const STATUS = {
  invalid_request: 400,
  invalid_client_metadata: 400,
  invalid_redirect_uri: 400,
  invalid_software_statement: 400,
  unapproved_software_statement: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  access_denied: 403,
  not_found: 404,
  too_many_requests: 429,
  temporarily_unavailable: 429,
} as const;

interface RefusalOptions {
  /** The reason for the operator, if it says more than the message. */
  reason?: string;
  headers?: Readonly<Record<string, string>>;
}

/** A refusal of a program's request. The caller receives the message. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: keyof typeof STATUS;
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: keyof typeof STATUS, message: string, { reason = message, headers = {} }: RefusalOptions = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.headers = headers;
  }
}

/**
 * Wraps a handler, so that a {@link Refusal} that it throws becomes a response. No cache may store its responses.
 * @param note called with each refusal
 */
export function answeringRefusals(
  handle: Route['handle'],
  note: (context: Context, refusal: Refusal) => void = () => undefined,
): Route['handle'] {
  return async (context) => {
    context.set('Cache-Control', 'no-store');
    try {
      await handle(context);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      note(context, error);
      context.status = STATUS[error.code];
      context.set(error.headers);
      context.body = { error: error.code, error_description: error.message };
    }
  };
}
