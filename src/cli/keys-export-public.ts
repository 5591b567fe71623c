import { printJson, withRing, type KeysScene } from './keys-scene.ts';

/** Prints the key set as `/jwks` shows it (RFC 7517 §5). */
export function exportPublic(scene: KeysScene): Promise<number> {
  return withRing(scene, ({ snapshot }) => {
    printJson(scene.terminal, { keys: snapshot.published });
    return Promise.resolve(0);
  });
}
