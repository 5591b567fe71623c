import type { Context } from 'koa';
import { readText } from './body.ts';
import { Problem } from './problems.ts';

export type Form = ReadonlyMap<string, string>;

/**
 * Reads a form (application/x-www-form-urlencoded, UTF-8), every field at most once.
 * @throws Problem `unsupported-form`, `body-too-large` or `bad-form`
 */
export async function readForm(context: Context): Promise<Form> {
  const fields = new Map<string, string>();
  for (const [name, value] of await readParameters(context)) {
    if (fields.has(name)) throw new Problem('bad-form', 'a field is repeated');
    fields.set(name, value);
  }
  return fields;
}

/** The same, for whoever allows that a field is repeated. */
export async function readParameters(context: Context): Promise<URLSearchParams> {
  if (context.is('application/x-www-form-urlencoded') === false) {
    throw new Problem('unsupported-form', 'the content type is another');
  }
  const parameters = new URLSearchParams(await readText(context.req));
  // U+FFFD replaces bytes that are not UTF-8, percent-encoded or not.
  if (parameters.toString().includes(encodeURIComponent('\uFFFD'))) throw new Problem('bad-form', 'it is not UTF-8');
  return parameters;
}

/** @throws Problem `bad-form` when the field is not there */
export function field(form: Form, name: string): string {
  const value = form.get(name);
  if (value === undefined) throw new Problem('bad-form', `the field "${name}" is missing`);
  return value;
}
