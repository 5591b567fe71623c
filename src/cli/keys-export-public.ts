import { printJson, withRing, type KeysContext } from './keys-context.ts';

/** Prints the key set as `/jwks` shows it (RFC 7517 §5). */
export function exportPublic(context: KeysContext): Promise<number> {
  return withRing(context, ({ snapshot }) => {
    printJson(context.terminal, { keys: snapshot.published });
    return Promise.resolve(0);
  });
}
