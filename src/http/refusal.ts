import type { Context } from 'koa';
import type { Route } from './route.ts';

/**
 * Statuses of the error codes of RFC 6750 §3.1, RFC 7591 §3.2.2 and Shared Signals Framework 1.0 §8.1, and of RFC 6749
 * §4.1.2.1 for temporary failures.
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
  /** Details for the operator, beyond the message. */
  reason?: string;
  headers?: Readonly<Record<string, string>>;
}

/** A refusal that a program reads; the message is for the caller. */
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

/** Makes a handler answer its refusals. No cache stores any of its answers. @param note is told of each refusal */
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
