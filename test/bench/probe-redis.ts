/** The probe for a process whose store is a Redis; apart, since another one never loads the client. */
import { Redis } from 'ioredis';
import { trips } from './probe.ts';

const READS = new Set(['get', 'hmget']);
// eslint-disable-next-line @typescript-eslint/unbound-method -- called on its own object below
const { sendCommand } = Redis.prototype;
Redis.prototype.sendCommand = function (this: Redis, command, ...rest) {
  trips[READS.has(command.name) ? 'reads' : 'writes'] += 1;
  return sendCommand.call(this, command, ...rest);
};
