import { durationText, parseDuration } from '../../lib/duration.ts';
import { UsageError } from '../command.ts';
import { withDomain, type StoreContext } from '../store-context.ts';

const DAY = 86_400;

/** Prints only the initial access token on standard output, for scripts; its terms go to standard error. */
export async function invite(context: StoreContext): Promise<number> {
  const { chosen, given, terminal } = context;
  const { options } = given;
  const uses = Number(options['uses'] ?? 1);
  if (!Number.isInteger(uses) || uses < 1 || uses > 10_000)
    throw new UsageError(`--uses ${JSON.stringify(options['uses'])} must be a whole number from 1 to 10000`);
  const ttl = parseDuration(String(options['expires'] ?? '1d'));
  if (ttl === undefined || ttl === 0 || ttl > 365 * DAY)
    throw new UsageError(`--expires ${JSON.stringify(options['expires'])} must be a duration from 1s to 365d`);
  const token = await withDomain(context, ({ invitations }) => invitations.make({ uses, ttl }));
  terminal.print(token);
  const times = uses === 1 ? 'one client' : `${uses} clients`;
  terminal.warn(
    `registers ${times} at ${chosen.config.issuer}/register within ${durationText(ttl)}; it is shown only now`,
  );
  if (!chosen.config.registration.enabled)
    terminal.warn('latchkey: registration.enabled is not set, so nobody can use it');
  return 0;
}
