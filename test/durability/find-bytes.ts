/** Something that must not be found, in one of the forms in which it could have been written. */
interface Needle {
  /** As text of one byte per character. */
  bytes: string;
  label: string;
}

const PREFIX = 8;

/**
 * Looks for values in bytes: as they are, as base64 and base64url wherever in a longer text, as hex, percent-encoded, in
 * JSON, and decoded from base64url.
 * @param values each with where it comes from
 * @returns a line for each one that was found
 */
export function findBytes(
  haystack: Buffer,
  values: Iterable<readonly [value: string | Buffer, from: string]>,
): string[] {
  const byPrefix = new Map<string, Needle[]>();
  for (const needle of [...values].flatMap(([value, from]) => formsOf(value, from))) {
    const prefix = needle.bytes.slice(0, PREFIX);
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), needle]);
  }
  const text = haystack.toString('latin1');
  const found = new Set<string>();
  for (let at = 0; at <= text.length - PREFIX; at += 1) {
    for (const { bytes, label } of byPrefix.get(text.slice(at, at + PREFIX)) ?? []) {
      if (text.startsWith(bytes, at)) found.add(label);
    }
  }
  return [...found];
}

function formsOf(value: string | Buffer, from: string): Needle[] {
  const bytes = Buffer.from(value);
  const needle = (form: string, text: string): Needle => ({ bytes: text, label: `${from}, ${form}` });
  const forms = [
    needle('as it is', bytes.toString('latin1')),
    needle('hex', bytes.toString('hex')),
    needle('hex', bytes.toString('hex').toUpperCase()),
    ...[0, 1, 2].flatMap((offset) => {
      const encoded = base64Within(bytes, offset);
      return [needle('base64', encoded), needle('base64url', encoded.replaceAll('+', '-').replaceAll('/', '_'))];
    }),
  ];
  if (typeof value !== 'string') return forms;
  const percent = encodeURIComponent(value);
  const inJson = JSON.stringify(value).slice(1, -1);
  return [
    ...forms,
    ...(percent === value ? [] : [needle('percent-encoded', percent)]),
    ...(inJson === value ? [] : [needle('in JSON', Buffer.from(inJson).toString('latin1'))]),
    ...(/^[\w-]{16,}$/.test(value) ? [needle('decoded', Buffer.from(value, 'base64url').toString('latin1'))] : []),
  ];
}

/** The characters that base64 gives these bytes whatever stands around them, when `offset` bytes come before. */
function base64Within(bytes: Buffer, offset: number): string {
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replaceAll('=', '');
  const end = (offset + bytes.length) % 3 === 0 ? encoded.length : encoded.length - 1;
  return encoded.slice(Math.ceil((offset * 8) / 6), end);
}
