import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';

/** A way to a server that can lose the answers on it, as a network does. */
export async function lossyWay(port: number) {
  const sockets = new Set<Socket>();
  let isLossy = false;
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [client, upstream].forEach((one) => one.destroy()));
    }
    client.pipe(upstream);
    upstream.on('data', (answer: Buffer) => (isLossy ? client.destroy() : client.write(answer)));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: at } = server.address() as AddressInfo;
  return {
    port: at,
    loseAnswers: (lossy: boolean) => (isLossy = lossy),
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
