import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What becomes of what is sent: it arrives, it gets stuck, or connections break and no new one comes about. */
export type WireState = 'open' | 'stalled' | 'cut';

/** The network between somebody and a port of this machine. */
export class Wire {
  #state: WireState = 'open';
  readonly #ends = new Set<Socket>();
  readonly #server = createServer({ noDelay: true }, (near) => {
    this.#join(near);
  });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  become(state: WireState): void {
    this.#state = state;
    for (const end of this.#ends) {
      if (state === 'cut') end.destroy();
      else if (state === 'stalled') end.pause();
      else end.resume();
    }
  }

  async close(): Promise<void> {
    this.become('cut');
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    if (this.#state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    this.#carry(near, far);
    this.#carry(far, near);
  }

  #carry(from: Socket, to: Socket): void {
    this.#ends.add(from);
    from.on('data', (piece) => to.write(piece));
    from.on('error', () => undefined);
    from.on('close', () => {
      this.#ends.delete(from);
      to.destroy();
    });
    if (this.#state === 'stalled') from.pause();
  }
}
