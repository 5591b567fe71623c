import { setTimeout as sleep } from 'node:timers/promises';
import { nodesInUse, STOPPED_AFTER } from '../../backup/copy.ts';
import { claimStore, foreignStore } from '../../credentials/store-origin.ts';
import type { Domain } from '../../domain/domain.ts';
import { UPGRADES } from '../../domain/upgrades.ts';
import { formatsOf } from '../../storage/format.ts';
import { upgradeStore, type UpgradeOptions } from '../../storage/upgrade.ts';
import { confirmed } from '../command.ts';
import { bullets } from '../help-text.ts';
import { withDomain, type StoreContext } from '../store-context.ts';
import { numberText, REPORT_PERIOD } from './progress.ts';

/** Brings the store to the newest format, while servers of this version serve. */
export async function upgrade(context: StoreContext): Promise<number> {
  return withDomain(context, async (domain) => {
    await markOrigin(domain, context);
    return upgradeDomain(domain, context, { steps: UPGRADES, pause: sleep });
  });
}

/** Marks the origin of a store of an earlier version while the demo's accounts can still be found in it. @throws ForeignStore */
async function markOrigin({ config, records, clock, format, random }: Domain, { place }: StoreContext): Promise<void> {
  const maker = config.isDemo === true ? 'demo' : 'configured';
  const other = await claimStore({ config, records, clock, format, random }, maker);
  if (other !== undefined) throw foreignStore(other, place);
}

/** @param steps the steps of the product, or of a test @returns the exit code */
export async function upgradeDomain(
  domain: Domain,
  { given, place, terminal }: Pick<StoreContext, 'given' | 'place' | 'terminal'>,
  { steps, pause }: Pick<UpgradeOptions<Domain>, 'steps' | 'pause'>,
): Promise<number> {
  const { records, format } = domain;
  const { newest } = format;
  const { oldest } = await formatsOf(records);
  const isNewest = oldest === newest;
  // Opens the key ring before anything changes, because a step may need it.
  await domain.keys();
  const missing = steps.filter(({ to }) => to > oldest);
  if (!isNewest && !(await confirmed(given.options, terminal, planFor(place, oldest, newest, missing)))) return 1;
  await refuseOlderNodes(domain, newest);
  const changed = await upgradeStore({ records, steps, context: domain, pause, told: reporterTo(terminal) });
  const mended = changed === 0 ? 'nothing had to be mended' : `${numberText(changed)} older records were mended`;
  const found = isNewest ? `, the newest that this version knows; ${mended}` : '';
  terminal.print(`${place} has format ${newest}${found}`);
  return 0;
}

function planFor(place: string, from: number, to: number, steps: typeof UPGRADES): string {
  return `upgrading ${place} from format ${from} to ${to}, while servers run\n${bullets([
    ...steps.map(({ what }) => what),
    'no older version of Latchkey can use the store afterwards, so make a backup first: latchkey store backup',
  ])}`;
}

/** Refuses the upgrade while a server runs that cannot read the format, as its readiness record says. */
async function refuseOlderNodes({ records, clock }: Domain, newest: number): Promise<void> {
  // Servers date their readiness records by the clock of the grants store, as this process does.
  const since = clock.now() - STOPPED_AFTER;
  for await (const { reads = 1 } of nodesInUse(records, since)) {
    if (reads >= newest) continue;
    throw new Error(
      `a server that cannot read format ${newest} uses the store: update every server to this version, and run this again 20 seconds ` +
        'later. Nothing was changed',
    );
  }
}

/** @returns a function that prints what is done now, when it changes and every two seconds */
function reporterTo(terminal: StoreContext['terminal']): (doing: string, records: number) => void {
  let last = { doing: '', at: 0 };
  return (doing, records) => {
    const now = performance.now();
    if (doing === last.doing && now - last.at < REPORT_PERIOD) return;
    last = { doing, at: now };
    terminal.warn(`latchkey: upgrade: ${doing}${records > 0 ? `: ${numberText(records)} records` : ''}`);
  };
}
