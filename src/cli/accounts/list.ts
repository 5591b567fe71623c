import { everyAccount } from '../../accounts/every-account.ts';
import type { Account, Accounts } from '../../accounts/accounts.ts';
import { knownRoles, readRoles } from './roles.ts';
import { didYouMean } from '../../config/suggest.ts';
import { textOf, type Terminal } from '../command.ts';
import { table } from '../help-text.ts';
import { withDomain, type StoreContext } from '../store-context.ts';

/**
 * Number of accounts in a page. The command prints each page as soon as it is read, because all accounts may not fit
 * into memory.
 */
const PAGE = 500;
const HEAD = ['email', 'name', 'roles', 'state', 'id'];

export function list(context: StoreContext): Promise<number> {
  const { given, terminal } = context;
  const role = textOf(given, 'role');
  if (role !== undefined) readRoles(role);
  return withDomain(context, async ({ accounts }) => {
    const matches = { any: false };
    const pages = recordMatches(matches, whileRead(pagesOf(accounts, role), terminal));
    if (given.options['json'] === true) await printJson(pages, terminal);
    else await printTable(pages, terminal);
    if (role !== undefined && !matches.any) terminal.warn(`latchkey: ${noMatchText(role, context)}`);
    return 0;
  });
}

async function* recordMatches(matches: { any: boolean }, pages: AsyncIterable<Account[]>): AsyncGenerator<Account[]> {
  for await (const page of pages) {
    matches.any ||= page.length > 0;
    yield page;
  }
}

function noMatchText(role: string, { chosen, place }: StoreContext): string {
  const known = knownRoles(chosen.config);
  if (known.includes(role)) return `nobody in ${place} has the role "${role}"`;
  const hint = didYouMean(role, known);
  return `nobody in ${place} has the role "${role}", and the configuration names no such role${hint}; it has ${known.join(', ')}`;
}

async function* pagesOf(accounts: Accounts, role: string | undefined): AsyncGenerator<Account[]> {
  for await (const page of everyAccount(accounts, PAGE))
    yield page.filter(({ roles }) => role === undefined || roles.includes(role));
}

/** Stops reading once the reader of standard output has gone: there may be a million accounts, and `head` reads ten. */
async function* whileRead(pages: AsyncIterable<Account[]>, terminal: Terminal): AsyncGenerator<Account[]> {
  for await (const page of pages) {
    if (terminal.isUnread?.() === true) return;
    yield page;
  }
}

async function printTable(pages: AsyncIterable<Account[]>, terminal: Terminal): Promise<void> {
  let isFirst = true;
  for await (const page of pages) {
    if (page.length === 0 && !isFirst) continue;
    const [head = '', ...lines] = table([HEAD, ...page.map(rowOf)], '').split('\n');
    terminal.print([...(isFirst ? [head] : []), ...lines].join('\n'));
    isFirst = false;
  }
}

function rowOf({ email, name, roles, id, disabledAt }: Account): string[] {
  return [email, name, roles.join(',') || '-', disabledAt === undefined ? 'active' : 'disabled', id];
}

/** Prints one array with an account on each line. */
async function printJson(pages: AsyncIterable<Account[]>, terminal: Terminal): Promise<void> {
  let before = '[';
  for await (const account of flattened(pages)) {
    terminal.print(`${before}${JSON.stringify(account)}`);
    before = ',';
  }
  terminal.print(before === '[' ? '[]' : ']');
}

async function* flattened(pages: AsyncIterable<Account[]>): AsyncGenerator<Account> {
  for await (const page of pages) yield* page;
}
