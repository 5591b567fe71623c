#!/usr/bin/env node
import { run } from './cli/run.ts';
import { processEnvironment } from './config/environment.ts';

const code = await run(process.argv.slice(2), {
  environment: processEnvironment(),
  print: (text) => void process.stdout.write(`${text}\n`),
  warn: (text) => void process.stderr.write(`${text}\n`),
});
// A failed start or a hard stop may leave sockets open that would keep the process; success ends by itself.
if (code === 0) process.exitCode = 0;
else process.exit(code);
