#!/usr/bin/env node
import { createInterface } from 'node:readline/promises';
import { run } from './cli/run.ts';
import { processEnvironment } from './config/environment.ts';

const code = await run(process.argv.slice(2), {
  environment: processEnvironment(),
  print: (text) => void process.stdout.write(`${text}\n`),
  warn: (text) => void process.stderr.write(`${text}\n`),
  ask,
});
// A failed start or a hard stop may leave sockets open that would keep the process; success ends by itself.
if (code === 0) process.exitCode = 0;
else process.exit(code);

/** On standard error, so that standard output stays what the command prints. */
async function ask(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  return lines.question(question).finally(() => lines.close());
}
