import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';

const MODULES = '/usr/lib/apache2/modules';
const LOADED = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'dir', 'auth_openidc'];

export interface Apache {
  readonly url: string;
  close(): Promise<void>;
}

/** An Apache of its own, with mod_auth_openidc as Debian ships it, and these lines in its configuration. */
export async function startApache(port: number, settings: readonly string[]): Promise<Apache> {
  const root = await mkdtemp(join(tmpdir(), 'latchkey-apache-'));
  await mkdir(join(root, 'site/secure'), { recursive: true });
  for (const place of ['index.html', 'secure/index.html'])
    await writeFile(join(root, 'site', place), `the page at ${place}`);
  await chmod(root, 0o755);
  await writeFile(join(root, 'httpd.conf'), configuration(root, port, settings));
  const child = spawn('apache2', ['-d', root, '-f', join(root, 'httpd.conf'), '-DFOREGROUND'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  const ended = once(child, 'exit');
  const url = `http://localhost:${port}`;
  const answers = (): Promise<boolean> => fetch(url).then(({ ok }) => ok).catch(() => false); // prettier-ignore
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`Apache did not start: ${complaints}`);
    return answers();
  });
  return {
    url,
    async close() {
      child.kill('SIGTERM');
      await ended;
      await rm(root, { recursive: true, force: true });
    },
  };
}

function configuration(root: string, port: number, settings: readonly string[]): string {
  return [
    ...LOADED.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
    `Listen ${port}`,
    `ServerName localhost:${port}`,
    ...(process.getuid?.() === 0 ? ['User www-data', 'Group www-data'] : []),
    `PidFile ${root}/httpd.pid`,
    `Mutex file:${root}`,
    `ErrorLog ${root}/error.log`,
    `DocumentRoot ${root}/site`,
    'DirectoryIndex index.html',
    ...settings,
    '',
  ].join('\n');
}
