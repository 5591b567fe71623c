/** Program of the process behind `background.ts`. It works until its parent is gone. */
import { constants, setPriority } from 'node:os';
import { type Argon2Job, doArgon2Job } from './argon2-jobs.ts';

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
// A terminal sends these to every process of a group. The server decides when this one ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', ({ id, job }: { id: number; job: Argon2Job }) => {
  void doArgon2Job(job).then((result) => process.send?.({ id, result }));
});
process.send?.('ready');
