import { describeProblems, type Fault } from '../config/problems.ts';
import { printableStoreUrl } from '../config/store-url.ts';
import type { Config } from '../config/schema.ts';
import { openBreachedPasswords } from '../credentials/breached-passwords.ts';
import { OPERATOR } from '../limits/lane.ts';
import { passwordWords } from '../credentials/password-rules.ts';
import { passwordProblems } from '../credentials/passwords.ts';
import { chooseConfig, DEFAULT_FILE } from './choose-config.ts';
import { configOption, textOf, type Command } from './command.ts';
import { table } from './help-text.ts';

export const checkConfig: Command = {
  name: 'check-config',
  summary: 'check the configuration without starting anything',
  details: 'Prints all problems at once. Exits with 0 if the configuration is valid, and with 1 otherwise.',
  options: configOption,
  async run(given, terminal) {
    const chosen = chooseConfig(textOf(given, 'config'), terminal.environment);
    const { config, file } = chosen;
    if (file === undefined)
      throw new Error(
        `there is no ${DEFAULT_FILE} in this folder; name a file with --config FILE, or create one with latchkey init`,
      );
    const warnings = [...chosen.warnings, ...(await weakPasswords(config)).map(chosen.describe)];
    if (warnings.length > 0) terminal.warn(`warning:\n${describeProblems(file, warnings)}\n`);
    terminal.print(`configuration is valid: ${file}\n\n${summary(config)}`);
    return 0;
  },
};

/**
 * Finds passwords that the server would refuse for a new account at its first start. Existing accounts keep their
 * passwords. Does not call the breach look-up.
 */
async function weakPasswords(config: Config): Promise<Fault[]> {
  const { accounts, passwords, outgoing } = config;
  if (accounts.length === 0) return [];
  const { file } = passwords.breached ?? {};
  const problemOf = passwordProblems(
    config,
    openBreachedPasswords({ file }, { ...outgoing, reportFailure: () => undefined }),
  );
  const words = passwordWords(passwords.min_length);
  const faults: Fault[] = [];
  for (const [index, { password, ...person }] of accounts.entries()) {
    const problem = password.isRead ? await problemOf(password.reveal(), person, OPERATOR) : undefined;
    if (problem === undefined) continue;
    const message = `is too weak, so the first start refuses to create the account. ${words[problem]}`;
    faults.push({ path: ['accounts', index, 'password'], message });
  }
  return faults;
}

function summary(config: Config): string {
  const { listen, stores, clients, resources } = config;
  const grants = printableStoreUrl(stores.grants);
  const records = printableStoreUrl(stores.records ?? stores.grants);
  const types = (['spa', 'web', 'machine'] as const).map((type) => ({
    type,
    count: clients.filter((client) => client.type === type).length,
  }));
  const byType = types.filter(({ count }) => count > 0).map(({ type, count }) => `${count} ${type}`);
  return table([
    ['issuer', config.issuer],
    ['listens on', `${listen.host}:${listen.port}${listen.tls === undefined ? '' : ' with TLS'}`],
    ['workers', String(config.workers)],
    ['grants', grants],
    ['records', records === grants ? 'the same store' : records],
    ['keys', config.keys_dir],
    ['clients', clients.length === 0 ? 'none' : `${clients.length} (${byType.join(', ')})`],
    ['resources', resources.map(({ identifier }) => identifier).join(', ') || 'none'],
    ['sign-up', config.sign_up.enabled ? 'open' : 'closed'],
  ]);
}
