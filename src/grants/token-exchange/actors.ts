import { z } from 'zod';
import { unacceptable } from './token-types.ts';

/** An actor. The earlier actors are nested in it (RFC 8693 §4.1). */
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

/** Limit on actors, because each makes the token longer. */
const MOST_ACTORS = 5;

/**
 * The `may_act` claim (RFC 8693 §4.4). A claim with an unknown member is refused, because the member could mean
 * anything.
 */
export const mayActSchema = z.strictObject({ sub: z.string() });

/** The claims of a subject token that concern delegation. */
interface Acted {
  act?: Act | undefined;
  may_act?: z.infer<typeof mayActSchema> | undefined;
}

/**
 * Returns the actors that the new token names. @param actor the new actor @param isNamed whether the new token names it
 * @throws InvalidRequest if the subject token allows only another actor, or if there are too many
 */
export function actorsOf(subject: Acted, actor: string, isNamed: boolean): Act | undefined {
  if (subject.may_act !== undefined && subject.may_act.sub !== actor)
    throw unacceptable('subject_token', `may_act names ${subject.may_act.sub}, not ${actor}`);
  if (!isNamed) return subject.act;
  const act = { sub: actor, ...(subject.act && { act: subject.act }) };
  if (namesOf(act).length > MOST_ACTORS) throw unacceptable('subject_token', 'too many actors');
  return act;
}

/** Lists the actors, the latest first. */
export function namesOf(act: Act | undefined): string[] {
  return act === undefined ? [] : [act.sub, ...namesOf(act.act)];
}
