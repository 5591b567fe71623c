import * as http from 'node:http';
import * as https from 'node:https';
import { isIP } from 'node:net';
import type { Config } from '../config/schema.ts';
import { chooseConfig } from './choose-config.ts';
import { configOption, textOf, type Command } from './command.ts';

/** Timeout in milliseconds. A container's health check waits only a little longer. */
const PATIENCE = 2500;

export const health: Command = {
  name: 'health',
  summary: 'check whether the server on this machine is alive',
  details: `Uses the port and TLS settings in the configuration of the server. Exits with 0 if the server is alive
(with --ready: if it can serve requests), and with 1 otherwise.`,
  options: { ...configOption, ready: { summary: 'check whether the server can serve requests (/readyz)' } },
  async run(given, terminal) {
    const { config } = chooseConfig(textOf(given, 'config'), terminal.environment, { mayLackFiles: true });
    const path = given.options['ready'] === true ? '/readyz' : '/healthz';
    const url = healthUrl(config, path);
    try {
      const { status, body } = await ask(url, config);
      if (status === 200) return 0;
      terminal.warn(`latchkey: ${url.href} answered ${status} ${body}`.trimEnd());
    } catch (error) {
      terminal.warn(`latchkey: ${url.href} does not answer: ${reasonOf(error)}; is the server running?`);
    }
    return 1;
  },
};

/**
 * Returns the URL of a path on this server. If the server listens on all addresses, the URL has the loopback address.
 */
function healthUrl({ listen }: Config, path: string): URL {
  const { host, port, tls } = listen;
  if (port === 0) throw new Error('listen.port is 0, so each start uses another port: set a fixed port');
  const loopback: Record<string, string> = { '0.0.0.0': '127.0.0.1', '::': '::1' };
  const address = loopback[host] ?? host;
  const origin = `${tls === undefined ? 'http' : 'https'}://${isIP(address) === 6 ? `[${address}]` : address}:${port}`;
  return new URL(path, origin);
}

function ask(url: URL, { issuer }: Config): Promise<{ status: number; body: string }> {
  const { host, hostname } = new URL(issuer);
  // The certificate names the issuer and not this address, so it is not verified. The request carries no secret.
  const secure = { rejectUnauthorized: false, ...(isIP(hostname) === 0 && { servername: hostname }) };
  const options = { ...secure, agent: false, headers: { host }, signal: AbortSignal.timeout(PATIENCE) };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).get(url, options, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => (body = (body + text).slice(0, 200)));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on('error', reject);
    });
    request.on('error', reject);
  });
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === 'AbortError' ? `no answer within ${PATIENCE} ms` : error.message || error.name;
}
