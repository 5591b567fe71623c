import type { Context } from 'koa';

/** The answers that Shared Signals Framework 1.0 §8.1 and RFC 6750 §3.1 have for what is not done. */
const STATUS = {
  invalid_request: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  access_denied: 403,
  not_found: 404,
  too_many_requests: 429,
} as const;

/** Why a request of a receiver is not done; the message is for the receiver. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: keyof typeof STATUS;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: keyof typeof STATUS, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.code = code;
    this.headers = headers;
  }
}

export function answerRefusal(context: Context, { code, message, headers }: Refusal): void {
  context.status = STATUS[code];
  context.set(headers);
  context.body = { error: code, error_description: message };
}
