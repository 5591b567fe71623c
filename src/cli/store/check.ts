import type { Domain } from '../../domain/domain.ts';
import { quoted } from '../../lib/hidden-characters.ts';
import { grantLife } from '../../oidc/lifetimes.ts';
import { SIGNAL_RECEIVERS, unsealFor } from '../../signals/push.ts';
import type { Stream } from '../../signals/streams.ts';
import { sizeOf } from '../../storage/batches.ts';
import { formatsOf, type Formats } from '../../storage/format.ts';
import { isUnknown, kindOf, lacksExpiry } from '../../storage/kinds.ts';
import { keyspace, type Defect, type Item, type Key, type Store } from '../../storage/store.ts';
import { bullets, table } from '../help-text.ts';
import { withDomain, type StoreContext } from '../store-context.ts';
import { numberText, Progress, sizeText } from './progress.ts';

/** Maximum number of findings that the command prints. It only counts the others. */
const MAX_SHOWN = 20;

interface Size {
  items: number;
  bytes: number;
}

/** The sizes by kind at the latest check, with which the next one compares its own. */
interface Figures {
  at: number;
  kinds: Record<string, Size>;
}

const figuresKey: Key<Figures> = keyspace<Figures>('store-check')('main');

interface Finding {
  text: string;
  /** True if the command has repaired it. */
  isMended?: boolean;
}

/** Reads both stores and the key ring. It changes nothing but its own figures, unless `--repair` is given. */
export async function check(context: StoreContext): Promise<number> {
  const { given, terminal } = context;
  const isRepaired = given.options['repair'] === true;
  return withDomain(context, async (domain) => {
    const { records, clock } = domain;
    const { sizes, findings } = await examine(domain, isRepaired, new Progress(terminal, 'check'));
    const formats = await formatsOf(records);
    const before = (await records.get(figuresKey))?.value;
    const kinds = Object.fromEntries(sizes);
    await records.set(figuresKey, { at: clock.now(), kinds });
    if (given.options['json'] === true) {
      terminal.print(
        JSON.stringify({ format: formats, kinds, before, findings: findings.map(textOfFinding) }, undefined, 2),
      );
    } else {
      terminal.print(`${formatText(formats, domain.format.newest)}\n\n${tableOf(sizes, before)}`);
      if (findings.length > 0)
        terminal.warn(`latchkey: invalid records: ${numberText(findings.length)}\n${findingsText(findings)}`);
      terminal.print(`\n${conclusion(findings, isRepaired)}`);
    }
    return findings.every(({ isMended }) => isMended === true) ? 0 : 1;
  });
}

function formatText({ oldest, reads }: Formats, newest: number): string {
  const found =
    oldest === reads ? `format ${oldest}` : `formats ${oldest} to ${reads}, because an upgrade has not ended`;
  return oldest === newest ? found : `${found}: "latchkey store upgrade" brings it to format ${newest}`;
}

interface Examined {
  sizes: ReadonlyMap<string, Size>;
  findings: Finding[];
}

async function examine(domain: Domain, isRepaired: boolean, progress: Progress): Promise<Examined> {
  const sizes = new Map<string, Size>();
  const findings = await findingsInKeys(domain);
  const unknown = new Map<string, number>();
  const inSeal = findings.length === 0 ? findingsInSeal : () => [];
  for (const store of new Set([domain.records, domain.grants])) {
    for await (const item of itemsOf(progress.of(store.dump()))) {
      const { items = 0, bytes = 0 } = sizes.get(kindOf(item)) ?? {};
      sizes.set(kindOf(item), { items: items + 1, bytes: bytes + sizeOf(item) });
      if (isUnknown(item)) unknown.set(kindOf(item), (unknown.get(kindOf(item)) ?? 0) + 1);
      findings.push(...(await findingsIn(item, store, domain, isRepaired)), ...(await inSeal(item, domain)));
    }
    for await (const defects of store.defects({ isRepaired })) findings.push(...defects.map(describe));
  }
  for (const [kind, count] of unknown) findings.push({ text: unknownText(kind, count) });
  progress.end();
  return { sizes, findings };
}

async function* itemsOf(batches: AsyncIterable<readonly Item[]>): AsyncGenerator<Item> {
  for await (const batch of batches) yield* batch;
}

async function findingsInKeys({ keys }: Domain): Promise<Finding[]> {
  try {
    await keys();
    return [];
  } catch (error) {
    return [{ text: `key-ring:main cannot be opened: ${error instanceof Error ? error.message : String(error)}` }];
  }
}

async function findingsIn(item: Item, store: Store, { config }: Domain, isRepaired: boolean): Promise<Finding[]> {
  if (item.kind !== 'record') return [];
  const { json, version } = item;
  const key = quoted(item.key);
  const findings: Finding[] = [];
  if (!Number.isSafeInteger(version) || version <= 0)
    findings.push({ text: `${key} has the version ${version}, which is invalid` });
  if (!isJson(json)) findings.push({ text: `${key} does not hold JSON` });
  if (lacksExpiry(item)) {
    // No record of the grants store is needed for longer than a grant.
    const ttl = grantLife(config.tokens);
    const { indexes = [], terms = [] } = item;
    const isMended =
      isRepaired &&
      findings.length === 0 &&
      (await store.replace(item.key, JSON.parse(json), version, { ttl, indexes, terms }));
    const text = `${key} has no expiry, although records of its kind expire`;
    findings.push({ text: isMended ? `${text}: it now expires in ${Math.ceil(ttl / 86_400)} days` : text, isMended });
  }
  return findings;
}

/** Finds a value that is sealed under another key ring. */
async function findingsInSeal(item: Item, { keys, clients }: Domain): Promise<Finding[]> {
  if (item.kind !== 'record' || !isJson(item.json)) return [];
  const id = item.key.slice(item.key.indexOf(':') + 1);
  try {
    if (kindOf(item) === 'client') await clients.find(id);
    if (kindOf(item) === 'signal-stream') {
      const { delivery } = JSON.parse(item.json) as Stream;
      const sealingKey = (await keys()).derive(SIGNAL_RECEIVERS).toString('base64url');
      if ('authorization' in delivery) unsealFor(delivery.endpoint_url, delivery.authorization, sealingKey);
    }
    return [];
  } catch {
    return [{ text: `${quoted(item.key)} has a sealed value that the current keys cannot open` }];
  }
}

/** Describes records of a later version, or of another program. A repair does not touch them. */
function unknownText(kind: string, count: number): string {
  return `${quoted(kind)} is a kind that this version of Latchkey does not know: ${numberText(count)} records`;
}

function describe({ what, name, key, isMended }: Defect): Finding {
  const text =
    what === 'dangling'
      ? `the index ${quoted(name)} has an entry for ${quoted(key)}, but that record does not exist or is not in the index`
      : `the ${name} ${quoted(key)} has an expiry that the store does not enforce`;
  return { text, isMended };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function tableOf(sizes: ReadonlyMap<string, Size>, before: Figures | undefined): string {
  const largest = [...sizes].toSorted(([, one], [, other]) => other.bytes - one.bytes);
  const day = before === undefined ? [] : [`since ${new Date(before.at).toISOString().slice(0, 16)}Z`];
  const rows = largest.map(([kind, { items, bytes }]) => {
    const growth = items - (before?.kinds[kind]?.items ?? 0);
    const grown = before === undefined ? [] : [growth > 0 ? `+${numberText(growth)}` : numberText(growth)];
    return [quoted(kind), numberText(items), sizeText(bytes), ...grown];
  });
  return table([['kind', 'items', 'size', ...day], ...rows], '');
}

/** Returns the last line of the output. */
function conclusion(findings: readonly Finding[], isRepaired: boolean): string {
  if (findings.length === 0) return 'nothing to repair';
  const defects = `${numberText(findings.length)} ${findings.length === 1 ? 'defect' : 'defects'}`;
  if (!isRepaired) return `${defects}: run with --repair, which deletes no record`;
  const left = findings.filter(({ isMended }) => isMended !== true).length;
  return left === 0 ? `${defects}: all repaired` : `${defects}: ${numberText(left)} cannot be repaired by this command`;
}

function textOfFinding({ text, isMended }: Finding): string {
  return isMended === true ? `${text} (repaired)` : text;
}

function findingsText(findings: readonly Finding[]): string {
  const more = findings.length - MAX_SHOWN;
  return bullets([
    ...findings.slice(0, MAX_SHOWN).map(textOfFinding),
    ...(more > 0 ? [`and ${numberText(more)} more: --json lists all`] : []),
  ]);
}
