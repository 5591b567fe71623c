import { everyPage } from '../../accounts/every-account.ts';
import type { Account } from '../../accounts/account.ts';
import type { AccountPage } from '../../accounts/accounts.ts';
import { knownRoles, readRoles } from './roles.ts';
import { showHiddenCharacters } from '../../lib/hidden-characters.ts';
import { didYouMean } from '../../config/suggest.ts';
import { textOf, UsageError, type Terminal } from '../command.ts';
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
  const search = textOf(given, 'search');
  if (role !== undefined) readRoles(role);
  if (search !== undefined && search.trim().length < 2) throw new UsageError('--search needs at least two characters');
  return withDomain(context, async ({ accounts }) => {
    const read: Parameters<typeof everyPage<AccountPage>>[0] = (page) =>
      search === undefined ? accounts.list(page) : accounts.search(search, page);
    const seen: Seen = { any: false, unreadable: 0, reasons: [] };
    const pages = noting(seen, whileRead(everyPage(read, PAGE), terminal), role);
    if (given.options['json'] === true) await printJson(pages, terminal);
    else await printTable(pages, terminal);
    if (seen.unreadable > 0) terminal.warn(`latchkey: ${unreadable(seen)}`);
    if (role !== undefined && !seen.any) terminal.warn(`latchkey: ${nobody(role, context)}`);
    if (search !== undefined && role === undefined && !seen.any)
      terminal.warn(`latchkey: no account in ${context.place} matches "${search}"`);
    return seen.unreadable > 0 ? 1 : 0;
  });
}

/** Findings of a listing. */
interface Seen {
  any: boolean;
  /** The number of accounts that cannot be opened. */
  unreadable: number;
  /** The first few of them, with the reason. */
  reasons: string[];
}

/** Maximum number of unreadable accounts that the command names. */
const NAMED = 5;

async function* noting(
  seen: Seen,
  pages: AsyncIterable<AccountPage>,
  role: string | undefined,
): AsyncGenerator<Account[]> {
  for await (const { accounts, unreadable } of pages) {
    const chosen = accounts.filter(({ roles }) => role === undefined || roles.includes(role));
    seen.any ||= chosen.length > 0;
    seen.unreadable += unreadable.length;
    const named = unreadable.slice(0, NAMED - seen.reasons.length);
    seen.reasons.push(...named.map(({ id, reason }) => reason ?? `account ${id} was erased, but is not removed yet`));
    yield chosen;
  }
}

function unreadable({ unreadable: count, reasons }: Seen): string {
  const more = count > reasons.length ? `; and ${count - reasons.length} more` : '';
  return `${reasons.map(showHiddenCharacters).join('; ')}${more}. "latchkey accounts remove ID" removes such an account`;
}

function nobody(role: string, { chosen, place }: StoreContext): string {
  const known = knownRoles(chosen.config);
  if (known.includes(role)) return `no account in ${place} has the role "${role}"`;
  const hint = didYouMean(role, known);
  return `no account in ${place} has the role "${role}", and the configuration does not mention it${hint}; it mentions ${known.join(', ')}`;
}

/** Stops reading once the reader of standard output has gone: there may be a million accounts, and `head` reads ten. */
async function* whileRead(pages: AsyncIterable<AccountPage>, terminal: Terminal): AsyncGenerator<AccountPage> {
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
