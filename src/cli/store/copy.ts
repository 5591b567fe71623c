import {
  copyStore,
  deleteSurplus,
  differences,
  findSurplus,
  findUse,
  holdsItems,
  isCopyOfAnother,
  STOPPED_AFTER,
  summarize,
  type Part,
} from '../../backup/copy.ts';
import { hasPassword, printableStoreUrl } from '../../config/store-url.ts';
import { Load } from '../../storage/loading.ts';
import { openOneStore } from '../../storage/open-stores.ts';
import { StoreMissing, StoreNotOpened, type Store } from '../../storage/store.ts';
import { textOf, UsageError, type Arguments, type Terminal } from '../command.ts';
import { bullets } from '../help-text.ts';
import type { StoreContext } from '../store-context.ts';
import { readText } from '../text-files.ts';
import { itemsText, numberText, Progress } from './progress.ts';

/** Least remaining lifetime of a compared item in milliseconds, so that no item expires between the two reads. */
const MIN_REMAINING_LIFE = 600_000;

export async function copy({ given, terminal }: StoreContext): Promise<number> {
  const { from, to, fromOrigin, toOrigin, part } = await argumentsOf(given, terminal);
  const isAhead = given.options['while-serving'] === true;
  const [source, target] = [printableStoreUrl(from), printableStoreUrl(to)];
  if (from === to) throw new UsageError('--from and --to name the same store');
  const opened = await openOneStore(from, undefined, terminal.clock).catch((error: unknown) => {
    if (error instanceof StoreMissing) throw new Error(`there is no store at ${source}`);
    return StoreNotOpened.rethrow(error, fromOrigin);
  });
  try {
    const filled = await openOneStore(to, part ?? 'records', terminal.clock).catch((error: unknown) =>
      StoreNotOpened.rethrow(error, toOrigin),
    );
    try {
      for (const warning of filled.warnings) terminal.warn(`latchkey: ${warning}`);
      const begunAt = await opened.store.time();
      const used = isAhead ? undefined : await findUse(opened.store, begunAt - STOPPED_AFTER);
      if (used?.isInUse === true) {
        throw new Error(`a server uses ${source}: stop every server, and run this command again 20 seconds later`);
      }
      const [by, marked] = ['copy', `${source} ${part ?? ''}`] as const;
      const isEmpty = async (): Promise<Error> => emptySource(source, target, await Load.isBegun(filled.store, marked));
      if (!(await holdsItems(opened.store))) throw await isEmpty();
      const load = await Load.begin(filled.store, { by, source: marked, place: target });
      const copying = { from: opened.store, to: filled.store, part, load };
      await dropSurplus(copying, { source, target, given, terminal });
      const progress = new Progress(terminal, 'copy');
      await copyStore(copying, (batch) => progress.add(batch));
      progress.end();
      // The source has lost its data since the first look at it.
      if (progress.items === 0) throw await isEmpty();
      if (used === undefined) {
        await load.pause();
        terminal.print(copiedAhead(source, target));
        return 0;
      }
      const comparing = { part, load, source, target, toOrigin, begunAt, used, terminal };
      return await compared(opened.store, filled.store, comparing);
    } finally {
      await filled.store.close();
    }
  } finally {
    await opened.store.close();
  }
}

function copiedAhead(source: string, target: string): string {
  return (
    `copied ${source} to ${target}, as it was meanwhile; no server opens ${target} yet\n` +
    'Stop every server, wait 20 seconds, and run this command without --while-serving. It copies only what has changed.'
  );
}

function emptySource(source: string, target: string, isBegun: boolean): Error {
  const kept = isBegun
    ? `. If it has lost its data, ${target} may be the only copy: it still holds everything that an earlier run copied. ` +
      `Bring the data of ${source} back, and run this command again`
    : '';
  return new Error(`there is no store at ${source}: it is empty${kept}`);
}

/** Number of surplus records that are always deleted. Above it, their share decides. */
const FEW_SURPLUS = 10;
/** Largest share of the target's records that is deleted without `--accept-deletions`. */
const SURPLUS_SHARE = 0.1;

/**
 * Deletes what the source has lost since an earlier run, which was copied from the same store.
 * @throws Error, and deletes nothing, if the source is another store, or has lost so much that it may be damaged
 */
async function dropSurplus(
  copying: Parameters<typeof findSurplus>[0],
  { source, target, given, terminal }: { source: string; target: string; given: Arguments; terminal: Terminal },
): Promise<void> {
  if (await isCopyOfAnother(copying)) {
    await copying.load.pause();
    throw new Error(
      `${target} holds a copy of another store than the one that is now at ${source}: nothing was changed. ` +
        `If ${source} has lost its data, ${target} may be the only copy. Otherwise name an empty target`,
    );
  }
  const { keys, records } = await findSurplus(copying);
  const [surplus, total] = [numberText(keys.length), numberText(records)];
  if (keys.length > Math.max(FEW_SURPLUS, records * SURPLUS_SHARE) && given.options['accept-deletions'] !== true) {
    await copying.load.pause();
    throw new Error(
      `${source} no longer has ${surplus} of the ${total} records that an earlier run copied to ${target}: nothing was ` +
        'changed. If it has lost data, bring the data back first. If so many records were deleted on purpose, add --accept-deletions',
    );
  }
  await deleteSurplus(copying, keys);
  if (keys.length > 0)
    terminal.warn(`latchkey: ${surplus} records that ${source} no longer has were deleted in ${target}`);
}

interface CopyArguments {
  from: string;
  to: string;
  /** Origin of the URL, for messages: an option, a file or a variable. */
  fromOrigin: string;
  toOrigin: string;
  part: Part;
}

async function argumentsOf(given: Arguments, terminal: Terminal): Promise<CopyArguments> {
  if (textOf(given, 'from-file') === '-' && textOf(given, 'to-file') === '-')
    throw new UsageError('standard input can hold only one URL: give the other in a file');
  const [from, to] = [await urlOf('from', given, terminal), await urlOf('to', given, terminal)];
  const part = textOf(given, 'only');
  if (part !== undefined && part !== 'records' && part !== 'grants') {
    throw new UsageError('--only must be "records" or "grants"');
  }
  return { from, to, fromOrigin: originOf('from', given), toOrigin: originOf('to', given), part };
}

function originOf(end: 'from' | 'to', given: Arguments): string {
  const file = textOf(given, `${end}-file`);
  if (file === '-') return 'standard input';
  if (file !== undefined) return file;
  return textOf(given, end) === undefined ? variableOf(end) : `--${end}`;
}

function variableOf(end: 'from' | 'to'): string {
  return `LATCHKEY_COPY_${end.toUpperCase()}`;
}

/** Reads a URL from an option, a file or the environment. Other users of the machine can see the options. */
async function urlOf(end: 'from' | 'to', given: Arguments, terminal: Terminal): Promise<string> {
  const variable = variableOf(end);
  const ways = `--${end}-file FILE (- for standard input) or ${variable}`;
  const [url, file] = [textOf(given, end), textOf(given, `${end}-file`)];
  if (url !== undefined && file !== undefined) throw new UsageError(`give either --${end} or --${end}-file`);
  if (url !== undefined && hasPassword(url)) {
    throw new UsageError(`--${end} has a password, which everybody on this machine could read: use ${ways}`);
  }
  const found = file === undefined ? (url ?? terminal.environment[variable]) : await readText(file, terminal);
  if (found === undefined || found.trim() === '') throw new UsageError(`store copy needs --${end} URL, ${ways}`);
  return found.trim();
}

/** Compares both stores, and releases the new one to servers if they are alike. @returns the exit code */
async function compared(
  from: Store,
  to: Store,
  given: {
    part: Part;
    load: Load;
    source: string;
    target: string;
    toOrigin: string;
    begunAt: number;
    used: Awaited<ReturnType<typeof findUse>>;
    terminal: Terminal;
  },
): Promise<number> {
  const { part, load, source, target, toOrigin, begunAt, used, terminal } = given;
  const until = (await from.time()) + MIN_REMAINING_LIFE;
  const comparison = new Progress(terminal, 'comparison (sum of both stores)');
  const sourceSummary = await summarize(comparison.of(load.during(from.dump())), { part, until });
  const targetSummary = await summarize(comparison.of(load.during(to.dump())), { part, until });
  comparison.end();
  const differing = differences(sourceSummary, targetSummary);
  if (differing.length > 0) {
    terminal.warn(
      `latchkey: ${source} and ${target} differ, so servers refuse to open ${target}:\n${bullets(differing)}\n` +
        'If a server wrote during the copy, stop it and run this command again.',
    );
    return 1;
  }
  // Short-lived codes that it used meanwhile are not compared, and would be unused in the new store.
  if ((await findUse(from, begunAt, used.readiness)).isInUse) {
    terminal.warn(
      `latchkey: a server used ${source} during the copy, so servers refuse to open ${target}. Stop every server, empty ${target}, and ` +
        'run this command again',
    );
    return 1;
  }
  await load.end();
  const items = [...targetSummary.values()].reduce((sum, kind) => sum + kind.items, 0);
  // The printed target lacks its password, so servers could not open it.
  const urlText = target.startsWith('sqlite:') ? target : `the URL in ${toOrigin}`;
  terminal.print(
    `copied ${source} to ${target}: ${itemsText(items)} ${items === 1 ? 'is' : 'are'} equal in both\n` +
      `Set ${part === 'records' ? 'stores.records (or LATCHKEY_RECORDS_STORE)' : 'stores.grants (or LATCHKEY_STORE)'} to ${urlText}, then start the servers. Nothing was revoked. Keep the old store until everything works, ` +
      'but start no server on it again.',
  );
  return 0;
}
