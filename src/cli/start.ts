import cluster from 'node:cluster';
import { styleText } from 'node:util';
import { demoApps, demoUrls } from '../config/demo.ts';
import { describeProblems } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { DEMO_PASSWORD } from '../config/loading/secret-strength.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import { chooseConfig, type ChosenConfig } from './choose-config.ts';
import { configOption, textOf, type Command } from './command.ts';
import { together, type Running, untilStopped } from './shutdown.ts';
import { untilDrained, startWorkers } from './workers.ts';

export const start: Command = {
  name: 'start',
  summary: 'start the server (the default)',
  details: `Without --config, it reads latchkey.yaml in this folder. If there is none, it starts the demo, on loopback only.
After SIGTERM, it accepts requests for drain.delay, then finishes open requests. Ctrl-C at a terminal skips this
delay. A second signal stops the server at once. SIGHUP reloads the TLS certificate.`,
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

/** Starts one server. The server is imported here, so that other commands do not wait for the import. */
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

/**
 * Returns the demo's start message: the addresses to open, the sign-in data, and the way to stop. The text is coloured
 * if the terminal supports it.
 */
function demoBanner({ issuer, listen, stores, keys_dir: keysDir, accounts }: Config): string {
  const urls = demoUrls(listen.port, new URL(issuer).hostname);
  const width = urls.notes.length + 3;
  const link = (url: string, text: string) => `${styleText('cyan', url)}${' '.repeat(width - url.length)}${text}`;
  const signIn = accounts.map(({ email, roles }) => `${email}${' '.repeat(width - email.length)}${roles.join(', ')}`);
  const rows: [string, string][] = [
    ['Open', link(urls.notes, 'Notes, an app')],
    ['', link(urls.photos, 'Photos, another app: you are already signed in to it')],
    ['', ''],
    ...signIn.map((text, index): [string, string] => [index === 0 ? 'Sign in' : '', text]),
    ['', `password ${styleText('bold', DEMO_PASSWORD)}, or sign up as somebody new`],
    ['', ''],
    ['Server', link(issuer, 'its metadata: /.well-known/openid-configuration')],
    ['API', link(urls.api, 'GET /me, /notes, /admin')],
    ['Data', `${printableStoreUrl(stores.grants)}, ${keysDir}/   kept until you delete it`],
    ['Stop', 'Ctrl-C'],
  ];
  const lines = rows.map(([label, text]) => `  ${styleText('dim', label.padEnd(8))} ${text}`.trimEnd());
  return `\n  ${styleText('bold', 'Latchkey runs in demo mode')}, for this machine only.\n\n${lines.join('\n')}\n`;
}
