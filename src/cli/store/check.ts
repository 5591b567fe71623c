import type { Domain } from '../../domain/domain.ts';
import { sizeOf } from '../../storage/batches.ts';
import { formatsOf, type Formats } from '../../storage/format.ts';
import { kindOf, lacksExpiry } from '../../storage/kinds.ts';
import type { Item } from '../../storage/store.ts';
import { bullets, table } from '../help-text.ts';
import { withDomain, type StoreContext } from '../store-context.ts';
import { numberText, Progress, sizeText } from './progress.ts';

/** Maximum number of findings that the command prints. It only counts the others. */
const MAX_SHOWN = 20;

interface Size {
  items: number;
  bytes: number;
}

/** Reads both stores and the key ring, and changes nothing. */
export async function check(context: StoreContext): Promise<number> {
  const { given, terminal } = context;
  return withDomain(context, async (domain) => {
    const progress = new Progress(terminal, 'check');
    const sizes = new Map<string, Size>();
    const findings = await findingsInKeys(domain);
    const formats = await formatsOf(domain.records);
    for (const store of new Set([domain.records, domain.grants])) {
      for await (const batch of progress.of(store.dump())) {
        for (const item of batch) {
          const { items = 0, bytes = 0 } = sizes.get(kindOf(item)) ?? {};
          sizes.set(kindOf(item), { items: items + 1, bytes: bytes + sizeOf(item) });
          findings.push(...findingsIn(item));
        }
      }
    }
    progress.end();
    if (given.options['json'] === true) {
      terminal.print(JSON.stringify({ format: formats, kinds: Object.fromEntries(sizes), findings }, undefined, 2));
    } else {
      terminal.print(`${formatText(formats, domain.format.newest)}\n\n${tableOf(sizes)}`);
      if (findings.length > 0)
        terminal.warn(`latchkey: ${numberText(findings.length)} found:\n${findingsText(findings)}`);
    }
    return findings.length === 0 ? 0 : 1;
  });
}

function formatText({ oldest, reads }: Formats, newest: number): string {
  const found =
    oldest === reads ? `format ${oldest}` : `formats ${oldest} to ${reads}, because an upgrade has not ended`;
  return oldest === newest ? found : `${found}: "latchkey store upgrade" brings it to format ${newest}`;
}

async function findingsInKeys({ keys }: Domain): Promise<string[]> {
  try {
    await keys();
    return [];
  } catch (error) {
    return [`key-ring:main does not open: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function findingsIn(item: Item): string[] {
  if (item.kind !== 'record') return [];
  const { json, version } = item;
  const key = quoted(item.key);
  return [
    ...(lacksExpiry(item) ? [`${key} never expires, as records of its kind do`] : []),
    ...(Number.isSafeInteger(version) && version > 0
      ? []
      : [`${key} has the version ${version}, which no write produces`]),
    ...(isJson(json) ? [] : [`${key} holds no JSON`]),
  ];
}

/** Quotes a key if a terminal could read more into it than letters: a control character, a line break, a space. */
function quoted(key: string): string {
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  return JSON.stringify(key).replace(/[^\x20-\x7e]/gu, (one) => `\\u{${one.codePointAt(0)?.toString(16) ?? ''}}`);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function tableOf(sizes: ReadonlyMap<string, Size>): string {
  const largest = [...sizes].toSorted(([, one], [, other]) => other.bytes - one.bytes);
  const rows = largest.map(([kind, { items, bytes }]) => [kind, numberText(items), sizeText(bytes)]);
  return table([['kind', 'items', 'values'], ...rows], '');
}

function findingsText(findings: readonly string[]): string {
  const more = findings.length - MAX_SHOWN;
  return bullets([
    ...findings.slice(0, MAX_SHOWN),
    ...(more > 0 ? [`and ${numberText(more)} more: --json lists all`] : []),
  ]);
}
