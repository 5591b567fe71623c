/** The members of a JSON object; empty if the object could not be read. */
export type Members = Readonly<Record<string, unknown>>;

/** The decoded header or claims of a JWT. */
interface Part {
  readonly members: Members;
  readonly isObject: boolean;
  readonly repeatsName: boolean;
}

/** A text that should be a signed JWT (RFC 7519 §7.2), split into its parts. Nothing is verified yet. */
export interface Assertion {
  readonly text: string;
  readonly parts: readonly string[];
  readonly header: Part;
  readonly claims: Part;
}

/** Longest accepted assertion in characters. Usual assertions have a tenth of this length. */
export const LONGEST_ASSERTION = 16_384;

/** Decodes an assertion without verifying it. Unreadable parts are empty, which the checks report. */
export function readAssertion(text: string): Assertion {
  const parts = text.length > LONGEST_ASSERTION ? [] : text.split('.');
  return { text, parts, header: readPart(parts[0]), claims: readPart(parts[1]) };
}

/** Tells whether a text is canonical base64url: no padding, no stray bits (RFC 7515 §2, RFC 4648 §3.5). */
export function isBase64url(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}

function readPart(part = ''): Part {
  try {
    // The decoder keeps a byte order mark, so that the parser refuses it (RFC 8259 §8.1).
    const json = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(part, 'base64url'));
    const value: unknown = JSON.parse(json);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return NOTHING;
    // An object without a prototype inherits nothing, so it has only the claims of the token.
    const members = Object.assign(Object.create(null) as object, value) as Members;
    return { members, isObject: true, repeatsName: repeatsName(json) };
  } catch {
    return NOTHING;
  }
}

const NOTHING: Part = { members: {}, isObject: false, repeatsName: false };

/**
 * Tells whether an object in a JSON text repeats a member name, also when the two spellings differ in their escapes.
 * Parsers disagree on which of the members counts (RFC 8259 §4), so a check might see another value than the code that
 * uses it. @param json a text that `JSON.parse` accepts
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

/** @param start index of a text's opening quote @returns the index after its closing quote */
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
