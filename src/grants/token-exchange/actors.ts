import { z } from 'zod';
import { unacceptable } from './refusal.ts';

/** The acting party, and the chain of earlier ones below it (RFC 8693 §4.1). */
export interface Act {
  sub: string;
  act?: Act | undefined;
}

export const actSchema: z.ZodType<Act> = z.strictObject({
  sub: z.string(),
  get act() {
    return actSchema.optional();
  },
});

/** Every actor makes the token longer. */
const MOST_ACTORS = 5;

/** RFC 8693 §4.4. A member that we do not know could mean anything, so it allows nobody. */
export const mayActSchema = z.strictObject({ sub: z.string() });

/** The claims of a subject token that concern delegation. */
interface Acted {
  act?: Act | undefined;
  may_act?: z.infer<typeof mayActSchema> | undefined;
}

/**
 * The actors that the new token names.
 * @param actor who acts from now on
 * @param isNamed whether the new token says so
 * @throws InvalidRequest when the subject token names another who may act, or has passed through too many hands
 */
export function actorsOf(subject: Acted, actor: string, isNamed: boolean): Act | undefined {
  if (subject.may_act !== undefined && subject.may_act.sub !== actor)
    throw unacceptable('subject_token', `may_act names ${subject.may_act.sub}, not ${actor}`);
  if (!isNamed) return subject.act;
  const act = { sub: actor, ...(subject.act && { act: subject.act }) };
  if (namesOf(act).length > MOST_ACTORS) throw unacceptable('subject_token', 'too many actors');
  return act;
}

/** The latest first. */
export function namesOf(act: Act | undefined): string[] {
  return act === undefined ? [] : [act.sub, ...namesOf(act.act)];
}
