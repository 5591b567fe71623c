#!/usr/bin/env node
import { text } from 'node:stream/consumers';

// SIGHUP makes a server reload its certificates. It must not end any command, not even while the program still loads.
process.on('SIGHUP', () => undefined);
const { ask } = await import('./cli/ask.ts');
const { run } = await import('./cli/run.ts');
const { processEnvironment } = await import('./config/loading/environment.ts');

// A reader such as `head` may stop early. That is not a failure, and the command still makes its changes.
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
// A failed start or a hard stop may leave open sockets that keep the process alive. A success leaves none.
if (code === 0) process.exitCode = 0;
else process.exit(code);
