import type { ProbedServer } from './probed-server.ts';

/** One behaviour that a row of the table makes, as a request sees it from outside. */
export interface Probe {
  /** Owner and method of the row; `#2` marks the second row of one method. */
  readonly row: string;
  observe(server: ProbedServer): Promise<unknown>;
  /** The observation with the whole table. */
  readonly good: unknown;
  /** The observation without the row: the engine's own behaviour. */
  readonly bad: unknown;
}

/** Posts a form. @returns the status and the JSON of the answer */
export async function post(
  { issuer }: Pick<ProbedServer, 'issuer'>,
  path: string,
  parameters: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${issuer}${path}`, { method: 'POST', headers, body: new URLSearchParams(parameters) });
  const text = await response.text();
  return { status: response.status, body: (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown> };
}

export function basic(client: string, secret: string): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString('base64')}` };
}
