import { z } from 'zod';
import { seal, unseal } from '../lib/seal.ts';
import type { Random } from '../lib/random.ts';
import type { Signal } from './account-event.ts';
import { setClaims, type TokenDependencies, type SignSet } from './security-event-token.ts';
import type { PushStream } from './streams.ts';

/** Outcome of a push. */
export type Pushed = { became: 'taken' } | { became: 'refused' | 'failed'; reason: string };

/** Error codes that concern the stream rather than one event, so the next event would fail too (RFC 8935 §2.4). */
const FAULTS_OF_STREAM = [
  'invalid_key',
  'invalid_issuer',
  'invalid_audience',
  'authentication_failed',
  'access_denied',
];

const refusal = z.object({ err: z.string().max(100), description: z.string().default('') });

/** Label of the ring's sealing key for receivers' authorization headers. */
export const SIGNAL_RECEIVERS = 'signal receivers';

/**
 * Seals a receiver's authorization header for its address. An attacker who can write to the store, but lacks the
 * sealing key, cannot make the server send it elsewhere.
 */
export function sealFor(
  url: string,
  text: string,
  { sealingKey, random }: { sealingKey: string; random: Random },
): string {
  return seal(secretFor(url, sealingKey), text, random);
}

/** Opens what `sealFor` has sealed. @throws Error for another key, address or text */
export function unsealFor(url: string, sealed: string, sealingKey: string): string {
  return unseal(secretFor(url, sealingKey), sealed);
}

function secretFor(url: string, sealingKey: string): string {
  return `${sealingKey} ${url}`;
}

/** Pushes an event (RFC 8935 §2). If the receiver refuses the event itself, it is not sent again. */
export async function push(
  dependencies: TokenDependencies & { fetch: typeof fetch; sign: SignSet; sealingKey: string },
  stream: PushStream,
  signal: Signal,
): Promise<Pushed> {
  const { endpoint_url: url, authorization: sealed } = stream.delivery;
  try {
    const authorization = sealed && { authorization: unsealFor(url, sealed, dependencies.sealingKey) };
    const response = await dependencies.fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...authorization },
      body: await dependencies.sign(await setClaims(dependencies, stream, signal)),
    });
    return response.ok ? { became: 'taken' } : await refused(response);
  } catch (error) {
    return { became: 'failed', reason: error instanceof Error ? error.message : 'unknown' };
  }
}

async function refused(response: Response): Promise<Pushed> {
  const reason = `the receiver answered ${response.status}`;
  if (response.status !== 400) return { became: 'failed', reason };
  const { data } = refusal.safeParse(await response.json().catch(() => undefined));
  if (data === undefined) return { became: 'failed', reason };
  const became = FAULTS_OF_STREAM.includes(data.err) ? 'failed' : 'refused';
  return { became, reason: `${data.err} ${data.description.slice(0, 300)}`.trim() };
}
