/** Schemas of the values in the configuration, such as durations and file paths. */
import { z } from 'zod';
import { parseDuration } from '../lib/clock.ts';
import { normaliseEmail } from '../lib/email.ts';
import { publicKeyFault } from '../lib/public-key.ts';
import type { Rule } from './rules.ts';
import { Secret } from './secret.ts';

/** A duration, written as text such as `15m` and read as whole seconds. */
export const duration = z.string('must be a duration such as 90s, 15m, 1h or 14d').transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  context.addIssue({ code: 'custom', message: 'must be a duration such as 90s, 15m, 1h or 14d' });
  return z.NEVER;
});

/** Time in whole seconds for which a client may repeat a refresh; `0s` allows no repetition. */
export const refreshWindow = durationUpTo(600, 'must be a duration of at most 10m, or 0s for none');

/** Time in whole seconds for which a stopping server still accepts connections. */
export const drainDelay = durationUpTo(300, 'must be a duration of at most 5m, or 0s for none');

/** Makes the schema of a duration that may be `0s`. @param most in seconds */
function durationUpTo(most: number, message: string) {
  return z.string(message).transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds !== undefined && seconds <= most) return seconds;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
}

/** Makes the schema of a text that satisfies a rule. */
export function ruled(rule: Rule) {
  return z.string().check((context) => {
    const message = rule(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
  });
}

/**
 * The path of a file. The schema refuses a text of several lines, which is probably the content of a file, such as a
 * private key.
 */
export const filePath = z
  .string()
  .min(1)
  .regex(/^[^\r\n]*$/, 'must be the path of a file, not its content');

export const email = z.string().refine((text) => normaliseEmail(text) !== undefined, 'must be an email address');

/** The resolver of secret references recognises this schema by identity. */
export const secret = z.instanceof(Secret, { message: 'must be a secret: { file: PATH } or { env: NAME }' });
export const scopeName = z
  .string()
  .regex(
    /^[\x21\x23-\x5B\x5D-\x7E]+$/,
    'is not a valid scope: use visible ASCII without spaces, quotes and backslashes (RFC 6749 §3.3)',
  );
export const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must consist of lower-case letters, digits, _ and -');

/** Signing algorithms of the key ring. */
const SIGNING = ['ES256', 'RS256', 'PS256', 'EdDSA', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const;
export const signingAlgorithm = z.enum(SIGNING);
/** Signing algorithms of ID tokens. HS256 signs with the client's secret (RFC 7518 §3.2). */
export const idTokenAlgorithm = z.enum([...SIGNING, 'HS256']);

/**
 * Algorithms that clients may sign with. All are asymmetric, because the server keeps only a hash of a client secret.
 */
export const clientSignature = z.enum(['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']);

/** TLS 1.2 suites with forward secrecy and authenticated encryption, by their OpenSSL names (RFC 9325 §4.2). */
export const cipherSuite = z.enum([
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
]);
export type CipherSuite = z.output<typeof cipherSuite>;

/** Key encryption algorithms (RFC 7518 §4), without RSA1_5 (RFC 8725 §3.2). */
export const keyEncryption = z.enum(['ECDH-ES', 'ECDH-ES+A256KW', 'RSA-OAEP-256']);
export const contentEncryption = z.enum(['A256GCM', 'A128GCM', 'A128CBC-HS256', 'A256CBC-HS512']);

/** A public key for encryption or verification (RFC 7517). Its `kty` decides which members it needs. */
export const publicJwk = z
  .looseObject({ kty: z.enum(['EC', 'RSA', 'OKP', 'AKP'], 'must be the kty of a public key: EC, RSA, OKP or AKP') })
  .check((context) => {
    const message = publicKeyFault(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
  });
