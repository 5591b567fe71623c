import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

/** A request of Node's as one of the Fetch standard. */
export async function toFetchRequest(origin: string, request: IncomingMessage): Promise<Request> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) headers.set(name, String(value));
  const { method = 'GET', url = '/' } = request;
  const body = method === 'GET' || method === 'HEAD' ? {} : { body: new Uint8Array(await buffer(request)) };
  return new Request(new URL(url, origin), { method, headers, ...body });
}

export async function writeFetchResponse(answer: Response, response: ServerResponse): Promise<void> {
  const others = [...answer.headers].filter(([name]) => name !== 'set-cookie');
  response.writeHead(
    answer.status,
    [...others, ...answer.headers.getSetCookie().map((line) => ['set-cookie', line])].flat(),
  );
  response.end(Buffer.from(await answer.arrayBuffer()));
}
