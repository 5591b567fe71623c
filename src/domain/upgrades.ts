import type { UpgradeStep } from '../storage/upgrade.ts';
import type { Domain } from './domain.ts';

/** The position at which all accounts are sealed, but not all links from trusted issuers. */
const LINKS = 'links';

/**
 * The steps from format 1 to `NEWEST_FORMAT`, in order. To add a format:
 *
 * 1. Let the code read every format from `oldest` to `reads` of `stores.format.current()`, and write `writes`. A name that
 *    must be unique is created under the key of `writes` and then looked up under the keys of the other formats, so that two
 *    nodes that write different formats cannot both have it.
 * 2. Raise `NEWEST_FORMAT`, and add the step here. It wires a function of the room that owns the records.
 * 3. Describe the format in docs/upgrades.md.
 *
 * A step stays for ever, because the oldest store may come from any earlier version.
 */
export const UPGRADES: readonly UpgradeStep<Domain>[] = [
  {
    to: 2,
    what: 'seals the names and addresses of accounts',
    async *convert({ accounts }, after) {
      for (let next = after === LINKS ? undefined : (after ?? ''); next !== undefined;) {
        const page = await accounts.seal({ limit: 100, ...(next !== '' && { after: next }) });
        next = page.next;
        yield { position: next ?? LINKS, records: page.read, changed: page.changed };
      }
      for await (const { read, changed } of accounts.links.seal()) yield { position: LINKS, records: read, changed };
    },
  },
];
