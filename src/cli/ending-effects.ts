import type { Account } from '../accounts/accounts.ts';
import type { Config } from '../config/schema.ts';
import type { Domain } from '../domain/domain.ts';
import { durationText } from '../lib/duration.ts';
import { appsWithAccess, liveSessions } from '../sessions/access.ts';

/** Counts the sessions and apps that end with an account's access, as a line to print. */
export async function endingEffects({ grants, consents }: Domain, { id }: Account): Promise<string> {
  const sessions = await liveSessions(grants, id);
  const apps = await appsWithAccess({ grants, consents }, id);
  const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`;
  return `${count(sessions.length, 'session')}, and what ${count(apps.length, 'app')} may do`;
}

/** Returns the time within which APIs refuse the tokens, as a line to print. */
export function howSoon({ status_lists: { ttl } }: Pick<Config, 'status_lists'>): string {
  return `APIs refuse its access tokens within 1s where they listen for it, within ${durationText(ttl)} where they ask`;
}
