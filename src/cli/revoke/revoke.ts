import { configOption, textOf, UsageError, type Arguments, type Command } from '../command.ts';
import { confirmed } from '../confirm.ts';
import { readTimestamp } from './timestamp.ts';
import { PLANS } from './plans.ts';
import { storeContext, withDomain } from '../store-context.ts';
import { bullets } from '../help-text.ts';
import { howSoon } from '../ending-effects.ts';

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
