/** Program of the process that `background.ts` starts. It runs until its parent is gone. */
import { constants, setPriority } from 'node:os';
import { type Argon2Job, doArgon2Job } from './argon2-jobs.ts';

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
// A terminal sends these signals to every process of the group, but only the server decides when this process ends.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', ({ id, job }: { id: number; job: Argon2Job }) => {
  void doArgon2Job(job).then((result) => process.send?.({ id, result }));
});
process.send?.('ready');
