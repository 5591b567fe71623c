import type { Fault } from './problems.ts';
import { isLoopback } from './rules.ts';
import type { Config } from './schema.ts';

/** Compares the port of a loopback issuer with the listening port: people reach such a server without a proxy. */
export function portWarnings({ issuer, listen }: Pick<Config, 'issuer' | 'listen'>): Fault[] {
  const url = new URL(issuer);
  const { port, tls, trusted_proxies: proxies } = listen;
  const isDirect = isLoopback(url.hostname) && proxies.length === 0 && (url.protocol === 'http:' || tls !== undefined);
  const named = url.port === '' ? (tls === undefined ? 80 : 443) : Number(url.port);
  if (!isDirect || port === 0 || named === port) return [];
  const message =
    `names port ${named}, but the server listens on port ${port}: write listen.port: ${named}, ` +
    `unless something passes ${named} on to ${port}`;
  return [{ path: ['issuer'], message }];
}
