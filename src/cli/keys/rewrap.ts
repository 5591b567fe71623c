import { resolve } from 'node:path';
import { pathText } from '../../config/problems.ts';
import { nextKeyFile, openMasterKeyFile, type MasterKey } from '../../keys/master-key.ts';
import { replaceKeyFile, resealRing } from '../../keys/rewrap.ts';
import { areSameFile } from '../../lib/file-system.ts';
import { confirmed } from '../command.ts';
import { bullets } from '../help-text.ts';
import { printJson, withMasterKey, type KeysContext } from './context.ts';

/**
 * Seals the stored keys under a new master key. The command can be repeated after any interruption, because it writes
 * the new key's file first, then the store, then the file names.
 */
export async function rewrap(context: KeysContext): Promise<number> {
  const { options, terminal } = context;
  const to = typeof options['to'] === 'string' ? resolve(options['to']) : undefined;
  if (to !== undefined) refuseOtherSecretFile(to, context);
  return withMasterKey(context, async ({ records, random }, present) => {
    const path = to ?? nextKeyFile(present);
    if (!(await confirmed(options, terminal, planFor(present, to)))) return 1;
    const next = await openMasterKeyFile(path, random);
    await resealRing(records, present, next);
    if (to === undefined) await replaceKeyFile(present.path, path);
    if (options['json'] === true) printJson(terminal, { sealedUnder: next.id, before: present.id });
    else terminal.print(resultText(present, next, to));
    return 0;
  });
}

/** Refuses the file of another secret, because any text of 43 characters could pass for a master key. @throws Error */
function refuseOtherSecretFile(file: string, { chosen }: KeysContext): void {
  const other = chosen.secretFiles.find((secret) => areSameFile(secret.file, file));
  if (other === undefined) return;
  throw new Error(
    `--to ${file} is already the file of ${pathText(other.path)} in ${chosen.file ?? 'the configuration'}: ` +
      'name a file that does not exist yet, or one that holds a new master key',
  );
}

function planFor(present: MasterKey, to: string | undefined): string {
  const lines = [
    `the keys in the store are sealed under ${to ?? 'a new master key'} instead of ${present.path}`,
    ...(to === undefined ? [`${present.path} will hold the new key, and ${present.path}.old the current one`] : []),
    'signing keys, tokens and sessions stay valid',
    'running servers keep their current signing keys, and see new ones only after a restart',
  ];
  return `changing the master key\n${bullets(lines)}`;
}

function resultText(present: MasterKey, next: MasterKey, to: string | undefined): string {
  return to === undefined
    ? `${present.path} is now the new master key, ${next.id}. Copy it to every node, and restart the nodes.\n` +
        `${present.path}.old, ${present.id}, opens older backups of the store: keep it in a separate place, or delete it.`
    : `${to} is now the master key, ${next.id}. Copy it to every node as master.key, and restart the nodes.`;
}
