import { connect, type Socket } from 'node:net';

/** Puts the pieces of responses that say their length together again. */
export class ResponseReader {
  #pieces: Buffer = Buffer.alloc(0);

  /** @returns the response that is whole with this piece; on a connection that has one request under way at a time */
  push(piece: Buffer): Buffer | undefined {
    this.#pieces = this.#pieces.length === 0 ? piece : Buffer.concat([this.#pieces, piece]);
    const end = this.#pieces.indexOf('\r\n\r\n');
    if (end === -1) return undefined;
    const length = Number(/^content-length: (\d+)\r$/im.exec(this.#pieces.toString('latin1', 0, end + 1))?.[1]);
    if (this.#pieces.length < end + 4 + length) return undefined;
    const response = this.#pieces;
    this.#pieces = Buffer.alloc(0);
    return response;
  }
}

export interface RawAnswer {
  status: number;
  body: string;
}

/** One connection that is kept, for one request after the other; made anew once it was cut. */
export class RawConnection {
  readonly #port: number;
  #socket: Socket | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** @returns `undefined` when the connection was cut before there was an answer */
  async ask(request: string): Promise<RawAnswer | undefined> {
    const socket = (this.#socket ??= connect({ port: this.#port, host: '127.0.0.1', noDelay: true }));
    const response = await whole(socket, request);
    if (response === undefined) this.close();
    return response && parse(response);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

function whole(socket: Socket, request: string): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const reader = new ResponseReader();
    const settle = (response?: Buffer): void => {
      socket.off('data', onData).off('close', onEnd).off('error', onEnd);
      resolve(response);
    };
    const onEnd = (): void => {
      settle();
    };
    const onData = (piece: Buffer): void => {
      const response = reader.push(piece);
      if (response !== undefined) settle(response);
    };
    socket.on('data', onData).on('close', onEnd).on('error', onEnd);
    socket.write(request);
  });
}

function parse(response: Buffer): RawAnswer {
  const text = response.toString('utf8');
  return { status: Number(text.slice(9, 12)), body: text.slice(text.indexOf('\r\n\r\n') + 4) };
}
