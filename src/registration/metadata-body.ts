import type { Context } from 'koa';
import type { Metadata } from '../clients/self-description.ts';
import { isMapping } from '../config/schema-reflection.ts';
import { readText } from '../http/request-body.ts';
import { Refusal } from './refusal.ts';

/** Reads the metadata that a client posts. @throws Refusal, or Problem if the body is too large or incomplete */
export async function readMetadata(context: Context): Promise<Metadata> {
  if (context.is('application/json') === false)
    throw new Refusal('invalid_client_metadata', 'must be application/json');
  const text = await readText(context.req);
  try {
    const value: unknown = JSON.parse(text, (key, member: unknown) => (key === '__proto__' ? undefined : member));
    if (isMapping(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Refusal('invalid_client_metadata', 'must be a JSON object');
}
