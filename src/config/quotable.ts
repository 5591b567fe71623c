import { z } from 'zod';
import type { Path } from './problems.ts';
import { isMapping, required, schemaUnder } from './schema-reflection.ts';
import { secret } from './values.ts';

const LONGEST = 100;

/**
 * Returns the value at a path as JSON if a report may show it: a single text, number or switch that is no secret. The
 * path must lead to a known setting, because a value beside a mistyped key may be meant for any setting. A text in the
 * place of a mapping is not shown, because the file may be a secret file.
 */
export function quotableAt(schema: unknown, tree: unknown, path: Path): string | undefined {
  let [at, value] = [schema, tree];
  for (const step of path) {
    at = schemaUnder(at, step);
    value = isMapping(value) || Array.isArray(value) ? Object.getOwnPropertyDescriptor(value, step)?.value : undefined;
    if (at === undefined || required(at) === secret) return undefined;
  }
  return holdsMappings(at) ? undefined : shown(value);
}

function shown(value: unknown): string | undefined {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || value.length > LONGEST || holdsPassword(value)) return undefined;
  // Keys and certificates have several lines, and belong into files.
  if (/[\r\n]/.test(value)) return undefined;
  return JSON.stringify(value);
}

function holdsMappings(schema: unknown): boolean {
  const inner = required(schema);
  if (inner instanceof z.ZodArray) return holdsMappings(inner.element);
  return inner instanceof z.ZodObject || inner instanceof z.ZodRecord;
}

/** Tells whether a text is a URL with credentials, or was meant as one. */
function holdsPassword(text: string): boolean {
  return text.includes('@') && !/^[^\s:/@]+@[^\s:/@]+$/.test(text);
}
