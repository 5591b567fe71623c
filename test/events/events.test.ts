import assert from 'node:assert/strict';
import { pino } from 'pino';
import { announceTo, type BusinessEvent } from '../../src/events/events.ts';

const address = '192.0.2.1';
const GUESSES: readonly BusinessEvent[] = [
  { type: 'client.guessing-delayed', client: 'any', address, seconds: 1 },
  { type: 'device.guessing-delayed', address, seconds: 1 },
  { type: 'sign-in.delayed', address, seconds: 1 },
];

describe('The level of a log line', () => {
  for (const event of GUESSES) {
    it(`The event ${event.type} has the level info, because any stranger can cause it`, () => {
      const lines: string[] = [];
      announceTo(pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) }))(event);
      assert.deepEqual(
        lines.map((line) => (JSON.parse(line) as { level: number }).level),
        [30],
      );
    });
  }
});
