/** The kinds of single values that the configuration is made of. */
import { z } from 'zod';
import { parseDuration } from '../lib/duration.ts';
import type { Rule } from './rules.ts';
import { Secret } from './secret.ts';

/** A duration as text (`15m`), as whole seconds once read. */
export const duration = z.string('must be a duration such as 90s, 15m, 1h or 14d').transform((text, context) => {
  const seconds = parseDuration(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  context.addIssue({ code: 'custom', message: 'must be a duration such as 90s, 15m, 1h or 14d' });
  return z.NEVER;
});

/** For how long a refresh may be repeated: a duration, or `0s` for not at all; as whole seconds once read. */
export const refreshWindow = z
  .string('must be a duration of at most 10m, or 0s for none')
  .transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds !== undefined && seconds <= 600) return seconds;
    context.addIssue({ code: 'custom', message: 'must be a duration of at most 10m, or 0s for none' });
    return z.NEVER;
  });

/** Text that one rule holds for. */
export function ruled(rule: Rule) {
  return z.string().check((context) => {
    const message = rule(context.value);
    if (message !== undefined) context.issues.push({ code: 'custom', message, input: context.value });
  });
}

/** Known by identity to whoever resolves references to secrets. */
export const secret = z.instanceof(Secret, { message: 'must be a secret: { file: PATH } or { env: NAME }' });
export const scopeName = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/, 'is not a scope (RFC 6749 §3.3)');
export const roleName = z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be lower case letters, digits, _ and -');

/** What the ring has keys for. */
const SIGNING = ['ES256', 'RS256', 'PS256', 'EdDSA', 'ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const;
export const signingAlgorithm = z.enum(SIGNING);
/** An ID token may also be signed with its client's secret (RFC 7518 §3.2). */
export const idTokenAlgorithm = z.enum([...SIGNING, 'HS256']);

/** What a client may sign with its own keys; never with a secret, which this server keeps as a hash. */
export const clientSignature = z.enum(['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']);

/** How a content key is encrypted to a public key (RFC 7518 §4); RSA1_5 is not among them (RFC 8725 §3.2). */
export const keyEncryption = z.enum(['ECDH-ES', 'ECDH-ES+A256KW', 'RSA-OAEP-256']);
export const contentEncryption = z.enum(['A256GCM', 'A128GCM', 'A128CBC-HS256', 'A256CBC-HS512']);

/** A public key that encrypts or verifies (RFC 7517); which members it needs depends on its `kty`. */
export const publicJwk = z
  .looseObject({ kty: z.enum(['EC', 'RSA', 'OKP', 'AKP'], 'must be the kty of a public key: EC, RSA, OKP or AKP') })
  .refine((jwk) => !['d', 'k', 'priv'].some((name) => name in jwk), 'must be a public key, and this one is private');
