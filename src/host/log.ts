import { pino, type Logger } from 'pino';
import type { Config } from '../config/schema.ts';

/** Names under which a secret could reach a log line; whatever stands there is not written. */
const secrets = ['password', 'secret', 'client_secret', 'token', 'code', 'cookie', 'authorization', 'refresh_token'];

/** JSON lines on standard output; in colour and words where a person looks on. */
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
