import type { Context } from 'koa';
import { z } from 'zod';
import { readText } from '../http/request-body.ts';
import { Refusal } from './refusal.ts';

/**
 * Reads a receiver's JSON object and ignores unknown members. A content type is not required, because the
 * specification's examples have none. @throws Refusal, or Problem if the body is too large or incomplete
 */
export async function readBody<S extends z.ZodType>(context: Context, schema: S): Promise<z.output<S>> {
  const { data, error } = schema.safeParse(parse(await readText(context.req)));
  if (error === undefined) return data;
  const [{ path, message } = { path: [], message: '' }] = error.issues;
  throw new Refusal('invalid_request', `${path.map(String).join('.')} ${message}`.trim());
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal('invalid_request', 'the body must be JSON');
    throw error;
  }
}
