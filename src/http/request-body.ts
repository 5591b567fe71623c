import type { IncomingMessage } from 'node:http';
import type { Context } from 'koa';
import { Problem } from './problems.ts';

/** Largest body in bytes. No form of this server needs as much. */
const LIMIT = 16 * 1024;
/** Headers for a refusal that leaves the rest of the body unread. */
const CLOSE = { Connection: 'close' };

/** Reads a body as UTF-8. @throws Problem `body-too-large` or `bad-form` */
async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // On an error the stream stays open, so that the answer can still be sent.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > LIMIT) throw new Problem('body-too-large', `a body of more than ${LIMIT} bytes`, CLOSE);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem('bad-form', 'the caller disconnected before the body was complete');
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Reads a body as JSON and drops `__proto__`, which could replace a prototype. @returns undefined if it is not JSON */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const text = await readText(request);
  try {
    return JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export type Form = ReadonlyMap<string, string>;

/**
 * Reads a form (application/x-www-form-urlencoded, UTF-8) in which no field is repeated.
 * @throws Problem `unsupported-form`, `body-too-large` or `bad-form`
 */
export async function readForm(context: Context): Promise<Form> {
  const fields = new Map<string, string>();
  for (const [name, value] of await readParameters(context)) {
    if (fields.has(name)) throw new Problem('bad-form', 'the form repeats a field');
    fields.set(name, value);
  }
  return fields;
}

/** Reads a form whose fields may be repeated. */
export async function readParameters(context: Context): Promise<URLSearchParams> {
  if (context.is('application/x-www-form-urlencoded') === false) {
    throw new Problem('unsupported-form', 'the content type is not that of a form');
  }
  const parameters = new URLSearchParams(await readText(context.req));
  // U+FFFD shows that the body, or its percent-encoding, was not UTF-8.
  if (parameters.toString().includes(encodeURIComponent('\uFFFD')))
    throw new Problem('bad-form', 'the body is not UTF-8');
  return parameters;
}

/** @throws Problem `bad-form` if the field is missing */
export function field(form: Form, name: string): string {
  const value = form.get(name);
  if (value === undefined) throw new Problem('bad-form', `the field "${name}" is missing`);
  return value;
}
