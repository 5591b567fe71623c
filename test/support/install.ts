import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findChromium } from './chromium.ts';
import { OLDEST_POSTGRES, postgresPrograms } from './postgres.ts';
import { findSoftHsm } from './softhsm.ts';

const OLDEST_REDIS = 7;
const OS_RELEASE = '/etc/os-release';

export interface Need {
  name: string;
  /** The one suite that needs it, and starts it from files of its own folder; without it, every suite. */
  suite?: string;
  /** The programs as that suite starts them. */
  programs?: readonly string[];
  present: () => boolean;
  /** The commands that install it with apt-get at hand, as root. */
  install: (ubuntu: boolean) => string[][];
  advice: string;
}

export const NEEDS: readonly Need[] = [
  {
    name: 'ps',
    present: () => runs('ps', '-o', 'pid='),
    install: () => [aptInstall('procps')],
    advice: 'Debian, Ubuntu: sudo apt-get install procps',
  },
  {
    name: `redis-server ${OLDEST_REDIS} or newer`,
    present: () => versionOf(/v=(\d+)\./, 'redis-server', '--version') >= OLDEST_REDIS,
    install: () => [aptInstall('redis-server')],
    advice:
      'Debian, Ubuntu: sudo apt-get install redis-server    macOS: brew install redis    else: https://redis.io/downloads',
  },
  {
    name: `PostgreSQL ${OLDEST_POSTGRES} or newer`,
    present: () => versionOf(/\) (\d+)/, join(postgresPrograms() ?? '', 'postgres'), '--version') >= OLDEST_POSTGRES,
    // Without the cluster and the service that Debian's package makes.
    install: () => [
      aptInstall('postgresql-common'),
      [
        'sed',
        '-i',
        '-E',
        's/^#?create_main_cluster.*/create_main_cluster = false/',
        '/etc/postgresql-common/createcluster.conf',
      ],
      aptInstall('postgresql'),
    ],
    advice:
      'Debian, Ubuntu: sudo apt-get install postgresql    macOS: brew install postgresql@16    else: https://www.postgresql.org/download',
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
    programs: ['apache2'],
    present: () => existsSync('/usr/lib/apache2/modules/mod_auth_openidc.so'),
    install: () => [aptInstall('apache2', 'libapache2-mod-auth-openidc')],
    advice: 'Debian, Ubuntu: sudo apt-get install apache2 libapache2-mod-auth-openidc',
  },
  {
    name: 'oidc-agent',
    suite: 'interop',
    programs: ['oidc-agent', 'oidc-gen'],
    present: () => runs('oidc-agent', '--version'),
    install: () => [aptInstall('oidc-agent-cli')],
    advice: 'Debian, Ubuntu: sudo apt-get install oidc-agent-cli    macOS: brew install oidc-agent',
  },
  {
    name: 'haproxy',
    suite: 'soak',
    programs: ['haproxy'],
    present: () => runs('haproxy', '-v'),
    install: () => [aptInstall('haproxy')],
    advice: 'Debian, Ubuntu: sudo apt-get install haproxy    macOS: brew install haproxy',
  },
  {
    name: 'PgBouncer',
    present: () => runs('/usr/sbin/pgbouncer', '--version'),
    // Without the service that Debian's package starts.
    install: () => [aptInstall('pgbouncer'), ['systemctl', 'disable', '--now', 'pgbouncer']],
    advice: 'Debian, Ubuntu: sudo apt-get install pgbouncer    else: https://www.pgbouncer.org/install.html',
  },
  {
    name: 'nginx',
    suite: 'soak',
    programs: ['nginx'],
    present: () => runs('nginx', '-v'),
    install: () => [aptInstall('nginx-light')],
    advice: 'Debian, Ubuntu: sudo apt-get install nginx-light    macOS: brew install nginx',
  },
  {
    name: 'Python 3.9 or newer with venv',
    suite: 'guides',
    programs: ['python3'],
    present: () => runs('python3', '-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 9)'),
    install: () => [aptInstall('python3-venv')],
    advice: 'Debian, Ubuntu: sudo apt-get install python3-venv    else: https://www.python.org/downloads',
  },
  {
    // From 1.21 on, Go brings the newer Go that a module asks for.
    name: 'Go 1.21 or newer',
    suite: 'guides',
    programs: ['go'],
    present: () => versionOf(/go1\.(\d+)/, 'go', 'version') >= 21,
    install: () => [aptInstall('golang-go')],
    advice: 'Debian 13, Ubuntu 24.04: sudo apt-get install golang-go    else: https://go.dev/dl',
  },
  {
    name: 'a JDK 17 or newer and Maven',
    suite: 'guides',
    programs: ['java', 'mvn'],
    present: () => versionOf(/jdk\.compiler@(\d+)/, 'java', '--list-modules') >= 17 && runs('mvn', '--version'),
    install: () => [aptInstall('default-jdk-headless', 'maven')],
    advice: 'Debian, Ubuntu: sudo apt-get install default-jdk-headless maven    macOS: brew install openjdk maven',
  },
  {
    name: 'Rust with Cargo',
    suite: 'guides',
    programs: ['cargo'],
    present: () => runs('cargo', '--version'),
    install: () => [aptInstall('cargo', 'pkg-config', 'libssl-dev')],
    advice: 'https://rustup.rs    Debian 13, Ubuntu 24.04: sudo apt-get install cargo pkg-config libssl-dev',
  },
  {
    name: 'Ruby with omniauth_openid_connect and Puma',
    suite: 'guides',
    programs: ['ruby', 'puma'],
    present: () => runs('ruby', '-e', 'require "omniauth_openid_connect"; require "rack/protection"; require "puma"'),
    install: () => [aptInstall('ruby-omniauth-openid-connect', 'ruby-rack-protection', 'puma')],
    advice: 'Debian, Ubuntu: sudo apt-get install ruby-omniauth-openid-connect ruby-rack-protection puma',
  },
  {
    name: 'softhsm2',
    present: () => findSoftHsm() !== undefined && runs('softhsm2-util', '--version'),
    install: () => [aptInstall('softhsm2')],
    advice:
      'Debian, Ubuntu: sudo apt-get install softhsm2    macOS: brew install softhsm    Fedora: sudo dnf install softhsm',
  },
];

const playwrightInstall = ['npx', 'playwright-core', 'install', '--with-deps', 'chromium'];

function aptInstall(...names: string[]): string[] {
  return ['apt-get', 'install', '--yes', '--no-install-recommends', ...names];
}

function runs(program: string, ...args: string[]): boolean {
  return spawnSync(program, args).status === 0;
}

/** The number in what a program in the path says of itself; 0 without one. */
function versionOf(pattern: RegExp, program: string, ...args: string[]): number {
  const { stdout } = spawnSync(program, args, { encoding: 'utf8' });
  return Number(pattern.exec(stdout)?.[1] ?? 0);
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
