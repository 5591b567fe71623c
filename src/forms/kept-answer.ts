import type { Context } from 'koa';

/** A whole answer to a browser, cookies included, to be given again. */
export interface KeptAnswer {
  status: number;
  headers: Record<string, string | string[]>;
  body: string;
}

/** Headers that belong to the request at hand. */
const OWN = ['x-request-id'];

export function answerOf({ status, res, body }: Context): KeptAnswer {
  const headers: KeptAnswer['headers'] = {};
  for (const [name, value = ''] of Object.entries(res.getHeaders()))
    if (!OWN.includes(name)) headers[name] = Array.isArray(value) ? value : String(value);
  return { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body ?? '') };
}

/** Gives a kept answer in place of whatever this request has come to. */
export function giveAnswer(context: Context, { status, headers, body }: KeptAnswer): void {
  for (const name of context.res.getHeaderNames()) if (!OWN.includes(name)) context.res.removeHeader(name);
  context.status = status;
  context.body = body;
  for (const [name, value] of Object.entries(headers)) context.res.setHeader(name, value);
}
