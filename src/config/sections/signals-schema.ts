import { z } from 'zod';

/** Events that a receiver can subscribe to, by the last part of the event type (CAEP 1.0 §3, RISC 1.0 §2). */
export const SIGNALS = [
  'session-revoked',
  'credential-change',
  'token-claims-change',
  'account-disabled',
  'account-enabled',
  'account-purged',
] as const;

/** The transmitter (OpenID Shared Signals Framework 1.0). */
export const signalsSchema = z.strictObject({
  enabled: z.boolean().default(false),
  default_subjects: z.enum(['ALL', 'NONE']).default('ALL'),
});

/** The events that one client may receive. Without this setting it receives none. */
export const receiverSchema = z.strictObject({
  events: z
    .array(z.enum(SIGNALS))
    .min(1, 'needs at least one event')
    .default([...SIGNALS]),
  accounts: z.enum(['own', 'all']).default('own'),
});
