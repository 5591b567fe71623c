import type { Context } from 'koa';
import { tokenChallenge } from '../http/response-headers.ts';

/** Error codes of RFC 7591 §3.2.2 and RFC 6750 §3.1, and of RFC 6749 §4.1.2.1 for temporary failures. */
export type RefusalCode =
  | 'invalid_client_metadata'
  | 'invalid_redirect_uri'
  | 'invalid_software_statement'
  | 'unapproved_software_statement'
  | 'invalid_request'
  | 'invalid_token'
  | 'temporarily_unavailable';

const STATUS: Partial<Record<RefusalCode, number>> = { invalid_token: 401, temporarily_unavailable: 429 };

/** Reason why a registration is not made, read or changed; the message is for the caller. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly code: RefusalCode;
  /** Details for the operator, beyond the message. */
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: RefusalCode,
    message: string,
    more: { reason?: string; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.code = code;
    this.reason = more.reason ?? message;
    this.headers = more.headers ?? {};
  }
}

/**
 * Gives the same answer for every invalid token, so that nobody learns which clients exist. A request without a token
 * is challenged without an error (RFC 6750 §3.1).
 */
export function tokenRefused(context: Context, reason: string): Refusal {
  const headers = { 'WWW-Authenticate': tokenChallenge(context) };
  return new Refusal('invalid_token', 'the access token is missing, wrong or used up', { reason, headers });
}

export function answerRefusal(context: Context, { code, message, headers }: Refusal): void {
  context.status = STATUS[code] ?? 400;
  context.set(headers);
  context.body = { error: code, error_description: message };
}
