import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { Defect } from '../store.ts';
import { withRetry } from './with-retry.ts';

/** Number of rows that one statement examines. Other connections can write between two statements. */
const PAGE = 1000;

/** Condition for a row of `members` that no record names. */
const DANGLES = `
  NOT EXISTS (SELECT 1 FROM records, json_each(records.indexes) AS entry
    WHERE records.key = members.key AND records.expires_at = members.expires_at AND entry.value = members.name)`;

/** Finds rows of `members` that the triggers did not write, for example after a repair of the file. */
export async function* defectsOf(database: DatabaseSync, isRepaired: boolean): AsyncGenerator<readonly Defect[]> {
  const page = database.prepare(`
    SELECT name, expires_at, key, ${DANGLES} AS dangles FROM members
    WHERE (name, expires_at, key) > (?, ?, ?) ORDER BY name, expires_at, key LIMIT ${PAGE}`);
  const remove = database.prepare(`DELETE FROM members WHERE name = ? AND expires_at = ? AND key = ? AND ${DANGLES}`);
  let last: SQLOutputValue[] | undefined = ['', 0, ''];
  while (last !== undefined) {
    const start: SQLOutputValue[] = last;
    const rows: Record<string, SQLOutputValue>[] = await withRetry(() => page.all(...start));
    const defects: Defect[] = [];
    for (const { name = '', expires_at: expiry = 0, key = '', dangles } of rows) {
      last = [name, expiry, key];
      if (dangles !== 1) continue;
      const isMended = isRepaired && (await withRetry(() => remove.run(name, expiry, key).changes === 1));
      defects.push({ what: 'dangling', name: String(name), key: String(key), isMended });
    }
    if (defects.length > 0) yield defects;
    if (rows.length < PAGE) last = undefined;
  }
}
