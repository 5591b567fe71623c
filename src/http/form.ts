import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { Problem } from './problems.ts';

/** Larger than any form of ours, smaller than anything that hurts. */
const LIMIT = 16 * 1024;
/** What is left of the request is not read. */
const CLOSE = { Connection: 'close' };

export type Form = ReadonlyMap<string, string>;

/**
 * Reads a form (application/x-www-form-urlencoded, UTF-8), every field at most once.
 * @throws Problem `unsupported-form`, `body-too-large` or `bad-form`
 */
export async function readForm(context: Context): Promise<Form> {
  if (context.is('application/x-www-form-urlencoded') === false) {
    throw new Problem('unsupported-form', `content type ${context.get('content-type')}`);
  }
  const fields = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(await readText(context.req))) {
    if (fields.has(name)) throw new Problem('bad-form', `the field "${name}" is repeated`);
    fields.set(name, value);
  }
  return fields;
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  // The stream is left whole on an error, so that the answer can still be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LIMIT) throw new Problem('body-too-large', `a form of more than ${String(LIMIT)} bytes`, CLOSE);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new Problem('bad-form', 'the form is not UTF-8');
  }
}

/** @throws Problem `bad-form` when the field is not there */
export function field(form: Form, name: string): string {
  const value = form.get(name);
  if (value === undefined) throw new Problem('bad-form', `the field "${name}" is missing`);
  return value;
}
