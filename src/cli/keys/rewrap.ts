import { resolve } from 'node:path';
import { pathText } from '../../config/problems.ts';
import { nextKeyFile, openMasterKeyFile, type MasterKey } from '../../keys/master-key.ts';
import { replaceKeyFile, resealRing } from '../../keys/rewrap.ts';
import { areSameFile } from '../../lib/file-system.ts';
import { confirmed } from '../command.ts';
import { bullets } from '../help-text.ts';
import { printJson, withMasterKey, type KeysContext } from './context.ts';

/**
 * Rewraps in an order that can be repeated after any interruption: the new key's file first, then the store, then the
 * file names.
 */
export async function rewrap(context: KeysContext): Promise<number> {
  const { options, terminal } = context;
  const to = typeof options['to'] === 'string' ? resolve(options['to']) : undefined;
  if (to !== undefined) assertOfNobodyElse(to, context);
  return withMasterKey(context, async ({ records, random }, present) => {
    const path = to ?? nextKeyFile(present);
    if (!(await confirmed(options, terminal, planFor(present, to)))) return 1;
    const next = await openMasterKeyFile(path, random);
    await resealRing(records, present, next);
    if (to === undefined) await replaceKeyFile(present.path, path);
    if (options['json'] === true) printJson(terminal, { sealedUnder: next.id, before: present.id });
    else terminal.print(doneText(present, next, to));
    return 0;
  });
}

/** Refuses the file of another secret: any text of 43 characters could be a master key. @throws Error */
function assertOfNobodyElse(file: string, { chosen }: KeysContext): void {
  const other = chosen.secretFiles.find((secret) => areSameFile(secret.file, file));
  if (other === undefined) return;
  throw new Error(
    `--to ${file} is the file of ${pathText(other.path)} in ${chosen.file ?? 'the configuration'}: ` +
      'name one that is not there, which is made, or one that holds a new master key',
  );
}

function planFor(present: MasterKey, to: string | undefined): string {
  const lines = [
    `the keys in the store are sealed under ${to ?? 'a new master key'} instead of ${present.path}`,
    ...(to === undefined ? [`${present.path} becomes the new key, and the present one ${present.path}.old`] : []),
    'no signing key changes, no token and no session ends',
    'servers that run go on with the keys that they have, but do not learn of new ones until they start again',
  ];
  return `changing the master key\n${bullets(lines)}`;
}

function doneText(present: MasterKey, next: MasterKey, to: string | undefined): string {
  return to === undefined
    ? `${present.path} is the new master key, ${next.id}. Give it to every node and start them again.\n` +
        `${present.path}.old, ${present.id}, opens backups of the store from before: keep it apart, or delete it.`
    : `${to} is the master key now, ${next.id}. Give it to every node as its master.key and start them again.`;
}
