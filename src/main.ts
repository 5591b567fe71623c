#!/usr/bin/env node
import { text } from 'node:stream/consumers';

// SIGHUP asks a server to read its certificates again. It ends no command, also while the rest of the program loads.
process.on('SIGHUP', () => undefined);
const { ask } = await import('./cli/ask.ts');
const { run } = await import('./cli/run.ts');
const { processEnvironment } = await import('./config/environment.ts');

// A reader that has seen enough, such as `head`, is no failure. What the command changes it changes all the same.
let isUnread = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (stream === process.stdout) isUnread = true;
  });
}

const code = await run(process.argv.slice(2), {
  environment: processEnvironment(),
  print: (line) => {
    if (!isUnread) process.stdout.write(`${line}\n`);
  },
  isUnread: () => isUnread,
  warn: (line) => void process.stderr.write(`${line}\n`),
  ask,
  input: () => text(process.stdin),
});
// A failed start or a hard stop may leave sockets open that would keep the process; success ends by itself.
if (code === 0) process.exitCode = 0;
else process.exit(code);
