import { normaliseEmail } from '../lib/email.ts';
import { OPERATOR } from '../limits/lane.ts';
import { tell, withAccount } from './accounts-scene.ts';
import { confirmed } from './confirm.ts';
import { askPassword, assertGood } from './new-password.ts';
import type { StoreScene } from './store-scene.ts';
import { bullets } from './help-text.ts';
import { howSoon, whatEnds } from './what-ends.ts';

export function disable(scene: StoreScene, name: string): Promise<number> {
  return withAccount(scene, name, async (people, account) => {
    const ended = [await whatEnds(people, account), howSoon(scene.chosen.config)];
    await people.endings.disableAccount(account.id);
    const enable = `"latchkey accounts enable ${account.email}" lets it in again, to new sessions`;
    scene.terminal.print(
      `disabled ${account.email}: nobody signs in to it, and this has ended\n${bullets([...ended, enable])}`,
    );
    return 0;
  });
}

export function enable({ terminal, ...scene }: StoreScene, name: string): Promise<number> {
  return withAccount({ terminal, ...scene }, name, async ({ accounts, ...people }, account) => {
    await accounts.enable(account.id);
    if (account.disabledAt !== undefined) await tell(people, account, { type: 'account-enabled' });
    const was = account.disabledAt === undefined ? 'was not disabled' : 'is enabled: it signs in again';
    terminal.print(`${account.email} ${was}`);
    return 0;
  });
}

export function signOut(scene: StoreScene, name: string): Promise<number> {
  return withAccount(scene, name, async (people, account) => {
    const ended = [await whatEnds(people, account), howSoon(scene.chosen.config)];
    await people.endings.endBefore({ account: account.id });
    scene.terminal.print(`signed ${account.email} out everywhere: this has ended\n${bullets(ended)}`);
    return 0;
  });
}

export function remove(scene: StoreScene, name: string): Promise<number> {
  const { chosen, given, place, terminal } = scene;
  return withAccount(scene, name, async (people, account) => {
    const ended = [await whatEnds(people, account), howSoon(chosen.config)];
    const isSeed = chosen.config.accounts.some(({ email }) => normaliseEmail(email) === account.email);
    const seed = `the configuration names it under accounts: the next start makes it again, as another account`;
    const lines = [...ended, 'there is no way back', ...(isSeed ? [seed] : [])];
    const plan = `removing ${account.email} (${account.id}), its password, and\n${bullets(lines)}`;
    if (!(await confirmed(given.options, terminal, plan))) return 1;
    await people.endings.removeAccount(account.id);
    terminal.print(`removed ${account.email} from ${place}`);
    return 0;
  });
}

export function setPassword(scene: StoreScene, name: string): Promise<number> {
  return withAccount(scene, name, async (people, account) => {
    const { config } = scene.chosen;
    const password = await askPassword(scene);
    if (password === undefined)
      throw new Error('no password was given: name its file with --password-file FILE, or type one at a terminal');
    await assertGood(password, account, { passwords: people.passwords, config });
    const ended = [await whatEnds(people, account), howSoon(config)];
    const { store } = await people.passwords.prepare(account.id, password, OPERATOR);
    await people.endings.changeCredentials(account.id, 'password-changed', { store });
    scene.terminal.print(`${account.email} has a new password: this has ended\n${bullets(ended)}`);
    return 0;
  });
}
