import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

export interface RawAnswer {
  /** 0 when the server closed the connection without an answer. */
  readonly status: number;
  /** By lower-case name; several of one name stand in several lines. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Sends bytes that no HTTP client would send, and reads until the server closes the connection, or for as long as there
 * is patience, in milliseconds.
 */
export async function sendRaw(
  port: number,
  bytes: string | Buffer,
  { patience }: { patience?: number } = {},
): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  if (patience !== undefined) socket.setTimeout(patience, () => socket.destroy());
  // With patience, nothing more is to come: a body that is shorter than it says is not waited for.
  if (patience === undefined) socket.write(bytes);
  else socket.end(bytes);
  return parseAnswer(await readAll(socket));
}

/** One request from its lines, with `Connection: close`. */
export function requestOf(line: string, headers: readonly string[] = [], body = ''): string {
  return [line, ...headers, 'Connection: close', '', body].join('\r\n');
}

export async function readAll(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

export function parseAnswer(text: string): RawAnswer {
  const [head = '', ...rest] = text.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '').split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    const value = line.slice(line.indexOf(':') + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name) ?? ''}\n${value}` : value);
  }
  const body = rest.join('\r\n\r\n');
  return {
    status: Number(statusLine.split(' ')[1] ?? 0),
    headers,
    body: headers.get('transfer-encoding') === 'chunked' ? joinChunks(body) : body,
  };
}

function joinChunks(body: string): string {
  const [, size = '0'] = /^([\da-f]+)\r\n/i.exec(body) ?? [];
  const start = size.length + 2;
  const end = start + parseInt(size, 16);
  return size === '0' ? '' : body.slice(start, end) + joinChunks(body.slice(end + 2));
}
