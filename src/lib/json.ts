/**
 * Tells whether an object in a JSON text repeats a member name, also when the two spellings differ in their escapes.
 * Parsers disagree on which member counts (RFC 8259 §4), so a check of one may miss the value that another one uses.
 * @param json a text that `JSON.parse` accepts
 */
export function repeatsName(json: string): boolean {
  const open: Set<string>[] = [];
  for (let at = 0; at < json.length; at += 1) {
    const landmark = json[at];
    if (landmark === '{') open.push(new Set());
    if (landmark === '}') open.pop();
    if (landmark !== '"') continue;
    const end = endOfText(json, at);
    if (isBeforeColon(json, end) && !isNew(JSON.parse(json.slice(at, end)), open.at(-1))) return true;
    at = end - 1;
  }
  return false;
}

function isNew(name: unknown, names: Set<string> | undefined): boolean {
  const before = names?.size;
  names?.add(String(name));
  return names?.size !== before || names === undefined;
}

/** @param start index of a text's opening quote. @returns the index after its closing one */
function endOfText(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isBeforeColon(json: string, start: number): boolean {
  let at = start;
  while (' \t\n\r'.includes(json[at] ?? '.')) at += 1;
  return json[at] === ':';
}
