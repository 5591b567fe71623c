import type { Defect } from '../store.ts';
import { keyIn } from './names.ts';
import type { Primary } from './primary.ts';

/** Number of rows that one statement examines, few enough for the time limit of a statement. */
const PAGE = 1000;

/**
 * Finds rows of `members` that the triggers did not write, for example after a restore of single tables. Such a row
 * stands in the way of a record that is to be written again.
 */
export async function* defectsOf(
  primary: Primary,
  name: string,
  isRepaired: boolean,
): AsyncGenerator<readonly Defect[]> {
  const schema = `"${name}"`;
  const dangles = `
    NOT EXISTS (SELECT FROM ${schema}.records WHERE records.key = members.key AND
      records.expires_at = members.expires_at AND members.name = ANY (records.names))`;
  const page = `
    SELECT name, expires_at, key, whole, ${dangles} AS dangles FROM ${schema}.members
    WHERE (name, expires_at, key) > ($1, $2, $3) ORDER BY name, expires_at, key LIMIT ${PAGE}`;
  const remove = `
    DELETE FROM ${schema}.members WHERE name = $1 AND expires_at = $2 AND key = $3 AND ${dangles} RETURNING key`;
  let last: unknown[] | undefined = ['', 0, ''];
  while (last !== undefined) {
    const rows = await primary.read(page, last);
    const defects: Defect[] = [];
    for (const row of rows) {
      last = [row['name'], row['expires_at'], row['key']];
      if (row['dangles'] !== true) continue;
      const isMended = isRepaired && (await primary.read(remove, last)).length === 1;
      defects.push({ what: 'dangling', name: String(row['name']), key: keyIn(row), isMended });
    }
    if (defects.length > 0) yield defects;
    if (rows.length < PAGE) last = undefined;
  }
}
