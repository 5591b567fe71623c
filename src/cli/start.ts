import cluster from 'node:cluster';
import { demoApps } from '../config/demo.ts';
import { describeProblems } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { demoBanner } from './banner.ts';
import { chooseConfig, type ChosenConfig } from './choose-config.ts';
import { configOption, textOf, type Command } from './command.ts';
import { together, type Running } from './running.ts';
import { untilDrained, untilStopped } from './shutdown.ts';
import { startWorkers } from './workers.ts';

export const start: Command = {
  name: 'start',
  summary: 'start the server (the default)',
  details: `Without --config it reads latchkey.yaml in the working directory; where there is none it starts the demo, on
loopback only. After SIGTERM it serves on for drain.delay, then lets what has begun end; Ctrl-C at a terminal does not
wait. The second signal stops at once. SIGHUP reads the TLS certificate again.`,
  options: configOption,
  async run(given, terminal) {
    const chosen = chooseConfig(textOf(given, 'config'), terminal.environment);
    const { config, file, warnings } = chosen;
    if (cluster.isWorker) return untilDrained(await startOne(chosen), config.drain.delay);

    if (file !== undefined && warnings.length > 0) terminal.warn(`warning:\n${describeProblems(file, warnings)}`);
    const say = (text: string) => terminal.warn(`latchkey: ${text}`);
    const server = config.workers > 1 ? await startWorkers(config.workers, say) : await startOne(chosen);
    if (file !== undefined) return untilStopped(server, { say, delay: config.drain.delay });

    const running = together([server, await startDemoApps(config, server)]);
    terminal.print(demoBanner(config));
    return untilStopped(running, { say, delay: 0 });
  },
};

/** Loaded here, so that the commands that start nothing do not wait for it. */
async function startOne({ config, file }: ChosenConfig): Promise<Running> {
  const { startServer } = await import('../server.ts');
  return startServer(file === undefined ? { config, apps: demoApps(config) } : { config });
}

async function startDemoApps({ listen, issuer }: Config, server: Running): Promise<Running> {
  const { startDemo } = await import('../demo/demo.ts');
  try {
    const apps = await startDemo({ host: listen.host, port: listen.port, issuer });
    return {
      leave: () => undefined,
      close: () => apps.close(),
      closeNow: () => void apps.close(),
      reload: () => undefined,
    };
  } catch (error) {
    server.closeNow();
    throw error;
  }
}
