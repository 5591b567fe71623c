/** Every name of a member, and where an object begins and ends; in other places of a JSON text a brace is in a string. */
const LANDMARK = /("(?:[^"\\]+|\\.)*")([ \t\n\r]*:)?|[{}]/g;

/**
 * Whether an object in a JSON text has two members of one name, also when they are spelled differently. Readers
 * disagree on which one counts (RFC 8259 §4), so what one has checked the next may not see.
 * @param json what `JSON.parse` takes
 */
export function repeatsName(json: string): boolean {
  const open: Set<string>[] = [];
  for (const [landmark, text, colon] of json.matchAll(LANDMARK)) {
    if (landmark === '{') open.push(new Set());
    else if (landmark === '}') open.pop();
    else if (text !== undefined && colon !== undefined) {
      const names = open.at(-1);
      const name = String(JSON.parse(text));
      if (names?.has(name) === true) return true;
      names?.add(name);
    }
  }
  return false;
}
