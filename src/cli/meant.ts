import { didYouMean } from '../config/suggest.ts';

/** Names that other programs have for a command or an option, by its name here. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  add: ['create', 'new', 'register'],
  remove: ['rm', 'delete', 'del', 'drop'],
  list: ['ls', 'all', 'show'],
  show: ['get', 'info', 'describe'],
  start: ['serve', 'run', 'server', 'up'],
  init: ['setup', 'create'],
  help: ['?', 'usage', 'man'],
  'check-config': ['config', 'validate', 'check', 'lint'],
  accounts: ['user', 'users', 'people'],
  clients: ['app', 'apps', 'application', 'applications'],
  'sign-out': ['logout', 'log-out'],
  password: ['passwd', 'set-password'],
  disable: ['lock', 'block', 'ban'],
  enable: ['unlock', 'unblock', 'unban'],
  '--everything': ['--all'],
  '--account': ['--user', '--email'],
  '--client': ['--app'],
  '--roles': ['--role'],
  '--role': ['--roles'],
};

/** Returns ` (did you mean X?)` for a mistyped, shortened or foreign word, else an empty text. */
export function suggestionFor(word: string, known: readonly string[]): string {
  const mistyped = didYouMean(word, known);
  if (mistyped !== '') return mistyped;
  const prefixed = known.filter((name) => word.length > 2 && name.startsWith(word));
  const synonyms = known.filter((name) => SYNONYMS[name]?.includes(word.toLowerCase()));
  const [meant] = [...(prefixed.length === 1 ? prefixed : []), ...synonyms];
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}

/** Options of other programs that are settings here. */
const SETTINGS: Readonly<Record<string, string>> = {
  port: 'listen.port in the configuration, or LATCHKEY_PORT',
  host: 'listen.host in the configuration, or LATCHKEY_HOST',
  store: 'stores.grants in the configuration, or LATCHKEY_STORE',
  'log-level': 'log.level in the configuration, or LATCHKEY_LOG_LEVEL',
  workers: 'workers in the configuration, or LATCHKEY_WORKERS',
  issuer: 'issuer in the configuration, or LATCHKEY_ISSUER',
  verbose: 'log.level in the configuration, or LATCHKEY_LOG_LEVEL',
  debug: 'log.level in the configuration, or LATCHKEY_LOG_LEVEL',
};

/** Returns `: set X instead` for an option that is a setting here, else an empty text. */
export function settingFor(option: string): string {
  const setting = Object.hasOwn(SETTINGS, option) ? SETTINGS[option] : undefined;
  return setting === undefined ? '' : `: set ${setting}`;
}
