import type { Logger } from 'pino';

/**
 * What happens in the domain, as one closed list. Reasons are for the operator: they may say what the wire must not.
 * No event carries a secret.
 */
export type BusinessEvent =
  | { type: 'account.signed-up'; account: string; address: string }
  | { type: 'account.signed-in'; account: string; client: string; address: string }
  | { type: 'sign-in.refused'; address: string }
  | { type: 'sign-in.delayed'; address: string; seconds: number }
  | { type: 'consent.given'; account: string; client: string }
  | { type: 'consent.denied'; account: string; client: string }
  | { type: 'session.ended'; account: string | undefined }
  | { type: 'family.revoked'; client: string | undefined; grant: string }
  | { type: 'logout.delivered'; client: string; attempt: number }
  | { type: 'logout.undelivered'; client: string; attempt: number; reason: string; givenUp: boolean }
  | { type: 'request.refused'; endpoint: string; client: string | undefined; error: string; reason: string };

/** Says that something happened. One call writes it wherever it belongs. */
export type Announce = (event: BusinessEvent) => void;

const warnings: ReadonlySet<BusinessEvent['type']> = new Set([
  'family.revoked',
  'logout.undelivered',
  'sign-in.delayed',
]);

export function announceTo(log: Logger): Announce {
  return ({ type, ...facts }) => {
    const level = warnings.has(type) ? 'warn' : 'info';
    log[level]({ event: type, ...facts }, type);
  };
}
