import assert from 'node:assert/strict';
import type { RawAnswer } from '../support/raw-http.ts';

/** A text that must never come back unescaped. */
export const CANARY = `<canary>"'&`;

/** RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1, RFC 8707 §2, RFC 9126, RFC 9449, OpenID Connect Core §3.1.2.6. */
const CODES = new Set([
  ...['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type'],
  ...['invalid_scope', 'access_denied', 'unsupported_response_type', 'server_error', 'temporarily_unavailable'],
  ...['invalid_token', 'insufficient_scope', 'invalid_target', 'invalid_redirect_uri', 'invalid_dpop_proof'],
  ...['use_dpop_nonce', 'login_required', 'consent_required', 'interaction_required', 'account_selection_required'],
  ...['request_not_supported', 'request_uri_not_supported', 'registration_not_supported', 'invalid_request_uri'],
  ...[
    'invalid_request_object',
    'unsupported_response_mode',
    'unsupported_token_type',
    'unmet_authentication_requirements',
  ],
  // RFC 8628 §3.5, OpenID Connect CIBA Core §13, RFC 7591 §3.2.2, RFC 9396 §5.
  ...['authorization_pending', 'slow_down', 'expired_token', 'unknown_user_id', 'invalid_binding_message'],
  ...['expired_login_hint_token', 'missing_user_code', 'invalid_user_code', 'transaction_failed'],
  ...['invalid_client_metadata', 'invalid_software_statement', 'unapproved_software_statement'],
  'invalid_authorization_details',
]);

/** Node refuses what is no HTTP by itself, without a word. */
const NOT_HTTP = new Set([400, 408, 413, 414, 417, 431]);

const INSIDES =
  /\bat \S+ \(?(file|node|\/)|node_modules|oops|oidc-provider|\bkoa\b|sqlite|ioredis|argon2|TypeError|RangeError|SyntaxError|ERR_[A-Z]+|\[object |Internal Server Error/;

/** Where answers may lead: this server, and every registered redirect URI. */
export interface Places {
  readonly issuer: string;
  readonly redirectUris: readonly string[];
}

/** Asserts that an answer is one that a stranger may be given, whatever was asked. */
export function assertWellBehaved(answer: RawAnswer, places: Places): void {
  const { status, headers, body } = answer;
  assert.ok((status >= 200 && status < 500) || status === 503, `status ${status}`);
  assert.equal(headers.get('x-injected'), undefined, 'a header was injected');
  if (!headers.has('x-request-id') && NOT_HTTP.has(status)) {
    assert.equal(body, '');
    return;
  }
  // The request's id is random, and once spelled "koa".
  assert.doesNotMatch(body.replaceAll(headers.get('x-request-id') ?? '', ''), INSIDES);
  if (headers.has('location')) assertRedirect(status, headers.get('location') ?? '', places);
  else if (status >= 400) assertError(answer);
  if ((headers.get('content-type') ?? '').startsWith('text/html')) assertPage(answer);
  for (const cookie of (headers.get('set-cookie') ?? '').split('\n')) {
    assert.match(
      cookie,
      /^$|^latchkey_(session(\.sig)?|device|opbs|browser_[\da-f]{8})=/,
      'a cookie that is none of ours',
    );
  }
}

function assertError({ headers, body }: RawAnswer): void {
  const type = headers.get('content-type') ?? '';
  if (type.startsWith('text/html') || headers.get('content-length') === '0' || body === '') return;
  assert.match(type, /^application\/json/);
  const { error, error_description: description } = JSON.parse(body) as Record<string, unknown>;
  assert.ok(typeof error === 'string' && CODES.has(error), `error "${String(error)}"`);
  assert.ok(description === undefined || typeof description === 'string');
}

function assertPage({ headers, body }: RawAnswer): void {
  assert.doesNotMatch(body, /<canary/);
  assert.doesNotMatch(body, /="[^"]*"'&/);
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
}

function assertRedirect(status: number, location: string, { issuer, redirectUris }: Places): void {
  assert.ok(status === 302 || status === 303, `a redirect with ${status}`);
  const target = new URL(location, issuer);
  if (target.origin === issuer) return;
  const answer = new URLSearchParams(target.search === '' ? target.hash.slice(1) : target.search);
  const address = `${target.origin}${target.pathname}`;
  assert.ok(redirectUris.includes(address), `a redirect to ${location}`);
  assert.equal(answer.get('iss') ?? issuer, issuer);
  if (answer.has('error')) assert.ok(CODES.has(answer.get('error') ?? ''), location);
}
