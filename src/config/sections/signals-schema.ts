import { z } from 'zod';

/** Events that a receiver can subscribe to, named by the last part of their event types (CAEP 1.0 §3, RISC 1.0 §2). */
export const SIGNALS = [
  'session-revoked',
  'credential-change',
  'token-claims-change',
  'account-disabled',
  'account-enabled',
  'account-purged',
] as const;

/** Settings of the transmitter (OpenID Shared Signals Framework 1.0). */
export const signalsSchema = z.strictObject({
  enabled: z.boolean().default(false),
  default_subjects: z.enum(['ALL', 'NONE']).default('ALL'),
});

/**
 * The events that one client may receive, and the accounts that they concern. A client without this setting receives no
 * events.
 */
export const receiverSchema = z.strictObject({
  events: z
    .array(z.enum(SIGNALS))
    .min(1, 'needs at least one event')
    .default([...SIGNALS]),
  accounts: z.enum(['own', 'all']).default('own'),
});
