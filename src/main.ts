#!/usr/bin/env node
import { text } from 'node:stream/consumers';
import { ask } from './cli/ask.ts';
import { run } from './cli/run.ts';
import { processEnvironment } from './config/environment.ts';

const code = await run(process.argv.slice(2), {
  environment: processEnvironment(),
  print: (line) => void process.stdout.write(`${line}\n`),
  warn: (line) => void process.stderr.write(`${line}\n`),
  ask,
  input: () => text(process.stdin),
});
// A failed start or a hard stop may leave sockets open that would keep the process; success ends by itself.
if (code === 0) process.exitCode = 0;
else process.exit(code);
