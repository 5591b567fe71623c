import { configOption, textOf, UsageError, type Arguments, type Command, confirmed } from '../command.ts';
import { storeContext, withDomain, howSoon } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import { systemClock, parseDuration } from '../../lib/clock.ts';
import { PLANS } from './plans.ts';

/** Targets whose tokens have an issue time. */
const DATED = ['account', 'client', 'everything'];

export const revoke: Command = {
  name: 'revoke',
  summary: 'revoke what was issued to an account, a client or all, a session, or a token',
  details: `It says what it will revoke, and asks. APIs refuse it within seconds, even while no server runs.

revoke --account ann@example.com --before 1h      what it got in the last hour stays
revoke --client shop                              also one that the configuration no longer has
revoke --token - < leaked.txt                     an access token alone; of a refresh token, all that came of it`,
  options: {
    ...configOption,
    account: { value: 'ACCOUNT', summary: 'all that an account has, by its address or id' },
    client: { value: 'CLIENT_ID', summary: 'all that a client has, of everybody' },
    issuer: { value: 'ISSUER', summary: 'what was issued for the tokens of a trusted issuer' },
    session: { value: 'SESSION', summary: 'one session, as "latchkey accounts show" names it' },
    token: { value: 'FILE', summary: 'one token, - for standard input' },
    everything: { summary: 'all that was issued, to everybody' },
    before: { value: 'INSTANT', summary: 'only what was issued before: 2026-01-31T12:00:00Z, or 1h for an hour ago' },
    yes: { summary: 'do not ask' },
  },
  run(given, terminal) {
    const [kind, name] = readKind(given);
    const before = textOf(given, 'before');
    if (before !== undefined && !DATED.includes(kind)) throw new UsageError(`--before does not go with --${kind}`);
    const instant = before === undefined ? undefined : readTimestamp('--before', before);
    const context = storeContext(given, terminal);
    const { config } = context.chosen;
    return withDomain(context, async (domain) => {
      const plan = await PLANS[kind]?.({ domain, terminal, before: instant }, name);
      if (plan === undefined || typeof plan === 'string') {
        terminal.warn(`latchkey: ${plan ?? kind}`);
        return 1;
      }
      const text = `revoking ${plan.what}\n${bullets([...plan.lines, howSoon(config)])}`;
      if (!(await confirmed(given.options, terminal, text))) return 1;
      await domain.revoke(plan.target, 'ended-by-operator');
      terminal.print(`revoked ${plan.what}`);
      return 0;
    });
  },
};

/** @throws UsageError unless the options name exactly one target */
function readKind({ options }: Arguments): [string, string] {
  const kinds = Object.keys(PLANS).filter((kind) => options[kind] !== undefined);
  const [kind] = kinds;
  const all = Object.keys(PLANS).map((name) => `--${name}`);
  if (kind === undefined) throw new UsageError(`revoke needs one of ${all.join(', ')}`);
  if (kinds.length > 1)
    throw new UsageError(`revoke takes one of --${kinds.join(' and --')}, not both: run it once for each`);
  return [kind, String(options[kind])];
}

const ISO = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/;

/** Parses a time in the past: ISO 8601 (a date is its start in UTC), or a duration ago. @returns ms @throws UsageError */
function readTimestamp(option: string, text: string): number {
  const ago = parseDuration(text);
  const now = systemClock.now();
  const at = ago !== undefined ? now - ago * 1000 : ISO.test(text) ? Date.parse(text) : NaN;
  if (Number.isNaN(at))
    throw new UsageError(
      `${option} ${JSON.stringify(text)} must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 90m, 1h, 2d`,
    );
  if (at > now) throw new UsageError(`${option} ${JSON.stringify(text)} must be in the past`);
  return at;
}
