import { nameProblem } from '../../accounts/account.ts';
import { normaliseEmail } from '../../lib/email.ts';
import { showHiddenCharacters } from '../../lib/hidden-characters.ts';
import { OPERATOR } from '../../limits/lane.ts';
import { register } from '../../credentials/sign-up.ts';
import { textOf, UsageError } from '../command.ts';
import { askPassword, assertAcceptable } from '../new-password.ts';
import { confirmUnknownRoles, readRoles } from './roles.ts';
import { withDomain, type StoreContext } from '../store-context.ts';

export function add(context: StoreContext, word: string): Promise<number> {
  const { chosen, given, place, terminal } = context;
  const { config } = chosen;
  const person = readPerson(context, word);
  const isVerified = given.options['email-verified'] === true;
  const origin = { origin: 'operator' as const, ...(isVerified && { emailVerifiedBy: 'operator' as const }) };
  return withDomain(context, async ({ accounts, passwords }) => {
    if ((await accounts.findByEmail(person.email)) !== undefined) return reportTakenEmail(context, person.email);
    if (!(await confirmUnknownRoles(person.roles, { config, options: given.options, terminal }))) return 1;
    const password = await askPassword(context);
    if (password !== undefined) await assertAcceptable(password, person, { passwords, config });
    const added = await (password === undefined
      ? accounts.create({ ...person, ...origin })
      : register({ accounts, passwords }, { ...person, ...origin, password }, OPERATOR));
    if (added === 'email-taken') return reportTakenEmail(context, person.email);
    terminal.print(`added account ${added.email} in ${place}: ${added.id}`);
    if (password === undefined)
      terminal.warn(`latchkey: the account has no password; "latchkey accounts password ${added.email}" sets one`);
    return 0;
  });
}

/** Reads the new account's email address, name and roles from the command line. @throws UsageError */
function readPerson({ chosen, given }: StoreContext, word: string): { email: string; name: string; roles: string[] } {
  const email = normaliseEmail(word);
  if (email === undefined)
    throw new UsageError(`${JSON.stringify(word)} is not an email address, such as ann@example.com`);
  const name = textOf(given, 'name') ?? email.slice(0, email.indexOf('@')).slice(0, 100);
  if (nameProblem(name) !== undefined)
    throw new UsageError(
      `--name ${JSON.stringify(showHiddenCharacters(name).slice(0, 120))} must be 1 to 100 characters, none of them hidden`,
    );
  const roles = textOf(given, 'roles');
  return { email, name, roles: roles === undefined ? chosen.config.sign_up.roles : readRoles(roles) };
}

function reportTakenEmail({ place, terminal }: StoreContext, email: string): number {
  const next = `"latchkey accounts show ${email}" shows it`;
  terminal.warn(`latchkey: ${email} already has an account in ${place}; ${next}`);
  return 1;
}
