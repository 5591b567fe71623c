import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Proxy {
  /** Everything that it has written. */
  output(): string;
  close(): Promise<void>;
}

/** Starts the program on `port` in front of the nodes' ports. */
export type StartProxy = (port: number, nodes: readonly number[]) => Promise<Proxy>;

/** A rolling restart loses no request behind these settings. */
export const proxies: Record<string, StartProxy> = {
  haproxy: (port, nodes) => start('haproxy', haproxySettings(port, nodes), (file) => ['-db', '-f', file]),
  nginx: (port, nodes) =>
    start('nginx', nginxSettings(port, nodes), (file, root) => ['-p', root, '-e', 'stderr', '-c', file]),
};

function haproxySettings(port: number, nodes: readonly number[]): string {
  return `
defaults
  mode http
  option redispatch
  retries 3
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  # A busy node may answer its health check late.
  timeout check 5s
frontend public
  bind 127.0.0.1:${port}
  default_backend latchkey
backend latchkey
  option httpchk GET /readyz
  # Two intervals are shorter than drain.delay: no request is sent to a node that has closed its port.
  default-server check inter 500ms fall 2 rise 1
${nodes.map((node) => `  server node-${node} 127.0.0.1:${node}`).join('\n')}
`;
}

/** nginx without a health check: it finds out that a node is away when the connection is refused, and asks the next one. */
function nginxSettings(port: number, nodes: readonly number[]): string {
  return `
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream latchkey {
    # With max_fails above 0, a node that was restarted would be left out for fail_timeout, and the next restart leaves none.
${nodes.map((node) => `    server 127.0.0.1:${node} max_fails=0;`).join('\n')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://latchkey;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host:$server_port;
    }
  }
}
`;
}

async function start(
  program: string,
  settings: string,
  argumentsFor: (file: string, root: string) => string[],
): Promise<Proxy> {
  const root = await mkdtemp(join(tmpdir(), `latchkey-${program}-`));
  const file = join(root, `${program}.conf`);
  await writeFile(file, settings);
  const child = spawn(program, argumentsFor(file, root), { stdio: ['ignore', 'pipe', 'pipe'] });
  const written: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => written.push(chunk));
  const output = (): string => Buffer.concat(written).toString();
  const ended = once(child, 'exit');
  await sleep(1000);
  if (child.exitCode !== null) throw new Error(`${program} did not start: ${output()}`);
  return {
    output,
    async close() {
      child.kill('SIGTERM');
      await ended;
      await rm(root, { recursive: true, force: true });
    },
  };
}
