import type { Context } from 'koa';

/** A complete answer to a browser, including cookies, for repetition. */
export interface KeptAnswer {
  status: number;
  headers: Record<string, string | string[]>;
  body: string;
}

/** Headers that belong to the current request. */
const OWN = ['x-request-id'];

export function answerOf({ status, res, body }: Context): KeptAnswer {
  const headers: KeptAnswer['headers'] = {};
  for (const [name, value = ''] of Object.entries(res.getHeaders()))
    if (!OWN.includes(name)) headers[name] = Array.isArray(value) ? value : String(value);
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body ?? '') };
}

/** Replaces this request's answer by a kept one. */
export function giveAnswer(context: Context, { status, headers, body }: KeptAnswer): void {
  for (const name of context.res.getHeaderNames()) if (!OWN.includes(name)) context.res.removeHeader(name);
  context.status = status;
  context.body = body;
  for (const [name, value] of Object.entries(headers)) context.res.setHeader(name, value);
}
