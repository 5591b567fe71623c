import { pino, type Logger } from 'pino';
import type { Config } from '../config/schema.ts';

/** Field names under which a secret could reach a log line. The log replaces their values. */
const secrets = ['password', 'secret', 'client_secret', 'token', 'code', 'cookie', 'authorization', 'refresh_token'];

/** Logs JSON lines on standard output, or coloured text at a terminal. */
export function openLog({ level, format }: Config['log']): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  return pino({
    level,
    redact: { paths: [...secrets, ...secrets.map((name) => `*.${name}`)], censor: '[secret]' },
    base: null,
    ...(isPretty && {
      transport: { target: 'pino-pretty', options: { ignore: 'pid,hostname', translateTime: 'HH:MM:ss' } },
    }),
  });
}
