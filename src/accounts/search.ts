import { normaliseEmail } from '../lib/email.ts';
import { encodeCursor } from '../storage/cursor.ts';
import type { AccountKeys } from './account-keys.ts';
import type { AccountRecords, ReadAccount } from './account-records.ts';
import { hasWords, longestBeginning, wordsOf } from './search-words.ts';

interface Found {
  found: ReadAccount[];
  next?: string | undefined;
}

interface Dependencies {
  records: AccountRecords;
  keys: AccountKeys;
}

/** The beginning of an account id. */
const ID = /^acc_[\da-z]*$/;

/**
 * Finds accounts with at most five reads of the store. The first page looks for the whole text as an address. Then it
 * reads the accounts under the word that fewest accounts have, and compares the other words.
 */
export async function searchAccounts(
  text: string,
  page: { after?: string; limit: number },
  { records, keys }: Dependencies,
): Promise<Found> {
  const trimmed = text.trim();
  if (ID.test(trimmed)) return byId(trimmed, page, records);
  const email = page.after === undefined ? normaliseEmail(trimmed) : undefined;
  const owner = email === undefined ? [] : await records.ownerOf(email);
  if (owner.length > 0) return { found: owner };
  return byWords(wordsOf(trimmed), page, { records, keys, ranges: email === undefined ? 2 : 1 });
}

/** Ids are not secret, and the index of all accounts is in their order. */
async function byId(text: string, page: { after?: string; limit: number }, records: AccountRecords): Promise<Found> {
  const whole = page.after === undefined ? await records.read([text]) : [];
  if (whole.length > 0) return { found: whole };
  const after = page.after ?? encodeCursor({ expiresAt: Infinity, name: `account:${text}` });
  const { ids, next } = await records.ids({ after, limit: page.limit });
  const matching = ids.filter((id) => id.startsWith(text));
  const read = await records.reachable(await records.read(matching));
  return { found: read, next: matching.length < ids.length ? undefined : next };
}

async function byWords(
  words: readonly string[],
  { after, limit }: { after?: string; limit: number },
  { records, keys, ranges }: Dependencies & { ranges: number },
): Promise<Found> {
  // Longer beginnings have fewer accounts.
  const beginnings = words.flatMap((word) => longestBeginning(word) ?? []);
  const longest = [...new Set(beginnings)].toSorted((one, other) => other.length - one.length);
  if (longest.length === 0) return { found: [] };
  if (!(await keys.areSearchable()))
    return everyMatch(words, { limit, ...(after !== undefined && { after }) }, records);
  const { word, cursor } = readCursor(after);
  const candidates = word === undefined ? longest.slice(0, ranges) : longest.filter((one) => one === word);
  const pages = await Promise.all(
    candidates.map(async (one) => {
      const page = await keys.withWord(one, { limit, ...(cursor !== undefined && { after: cursor }) });
      return { word: one, ...page };
    }),
  );
  const fewest = pages.find(({ next }) => next === undefined) ?? pages[0];
  if (fewest === undefined) return { found: [] };
  const read = await records.reachable(await records.read(fewest.ids));
  const next = fewest.next === undefined ? undefined : `${fewest.word}.${fewest.next}`;
  return { found: matching(read, words), next };
}

/** Reads a page of all accounts, as long as an upgrade has not given all of them their terms. */
async function everyMatch(
  words: readonly string[],
  page: { after?: string; limit: number },
  records: AccountRecords,
): Promise<Found> {
  const { ids, next } = await records.ids(page);
  return { found: matching(await records.reachable(await records.read(ids)), words), next };
}

function matching(read: readonly ReadAccount[], words: readonly string[]): ReadAccount[] {
  return read.filter(({ account }) => account !== undefined && hasWords(account, words));
}

/** Reads the cursor of a page of a word. Words have no full stop. */
function readCursor(after: string | undefined): { word?: string; cursor?: string } {
  const end = after?.indexOf('.') ?? -1;
  return after === undefined || end < 0 ? {} : { word: after.slice(0, end), cursor: after.slice(end + 1) };
}
