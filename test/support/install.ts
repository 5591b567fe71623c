import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { findChromium } from './chromium.ts';
import { findSoftHsm } from './softhsm.ts';

const OLDEST_REDIS = 7;
const OS_RELEASE = '/etc/os-release';

interface Need {
  name: string;
  /** The one suite that needs it; without it, every one. */
  suite?: string;
  present: () => boolean;
  /** The commands that install it with apt-get at hand, as root. */
  install: (ubuntu: boolean) => string[][];
  advice: string;
}

const NEEDS: Need[] = [
  {
    name: `redis-server ${OLDEST_REDIS} or newer`,
    present: () => redisVersion() >= OLDEST_REDIS,
    install: () => [aptInstall('redis-server')],
    advice:
      'Debian, Ubuntu: sudo apt-get install redis-server    macOS: brew install redis    else: https://redis.io/downloads',
  },
  {
    name: 'Chromium',
    present: () => findChromium() !== undefined,
    // Ubuntu's package is a stub for a snap, and snaps do not run in containers.
    install: (ubuntu) => [ubuntu ? playwrightInstall : aptInstall('chromium')],
    advice: 'Debian: sudo apt-get install chromium    else: npx playwright-core install --with-deps chromium',
  },
  {
    name: 'Apache with mod_auth_openidc',
    suite: 'interop',
    present: () => existsSync('/usr/lib/apache2/modules/mod_auth_openidc.so'),
    install: () => [aptInstall('apache2', 'libapache2-mod-auth-openidc')],
    advice: 'Debian, Ubuntu: sudo apt-get install apache2 libapache2-mod-auth-openidc',
  },
  {
    name: 'oidc-agent',
    suite: 'interop',
    present: () => spawnSync('oidc-agent', ['--version']).status === 0,
    install: () => [aptInstall('oidc-agent-cli')],
    advice: 'Debian, Ubuntu: sudo apt-get install oidc-agent-cli    macOS: brew install oidc-agent',
  },
  {
    name: 'softhsm2',
    present: () => findSoftHsm() !== undefined && spawnSync('softhsm2-util', ['--version']).status === 0,
    install: () => [aptInstall('softhsm2')],
    advice:
      'Debian, Ubuntu: sudo apt-get install softhsm2    macOS: brew install softhsm    Fedora: sudo dnf install softhsm',
  },
];

const playwrightInstall = ['npx', 'playwright-core', 'install', '--with-deps', 'chromium'];

function aptInstall(...names: string[]): string[] {
  return ['apt-get', 'install', '--yes', '--no-install-recommends', ...names];
}

/** The major version of the `redis-server` in the path; 0 without one. */
function redisVersion(): number {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' });
  return Number(/v=(\d+)\./.exec(stdout)?.[1] ?? 0);
}

/** Debian or Ubuntu with the right to install; `undefined` elsewhere. */
function debianAsRoot(): { ubuntu: boolean } | undefined {
  if (process.getuid?.() !== 0 || !existsSync(OS_RELEASE)) return undefined;
  const id = /^ID="?(\w+)/m.exec(readFileSync(OS_RELEASE, 'utf8'))?.[1];
  return id === 'debian' || id === 'ubuntu' ? { ubuntu: id === 'ubuntu' } : undefined;
}

function run([program = '', ...args]: string[]): void {
  console.log(`$ ${[program, ...args].join(' ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], env });
}

/**
 * Sees to it that the programs which a suite runs against are there. As root on Debian and Ubuntu it installs what is
 * missing; elsewhere it says what to install.
 * @returns whether all are there
 */
export function installPrograms(suite: string): boolean {
  const system = debianAsRoot();
  const missing = NEEDS.filter((need) => (need.suite ?? suite) === suite && !need.present());
  if (system !== undefined && missing.length > 0) {
    console.log(`Installing for the tests: ${missing.map((need) => need.name).join(', ')}`);
    run(['apt-get', 'update']);
    missing.flatMap((need) => need.install(system.ubuntu)).forEach(run);
  }
  const stillMissing = missing.filter((need) => !need.present());
  for (const need of stillMissing) console.error(`The tests need ${need.name}.\n  ${need.advice}`);
  return stillMissing.length === 0;
}
