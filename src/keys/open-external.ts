import type { Config } from '../config/schema.ts';
import type { External } from './external-keys.ts';
import { SignerUnavailable } from './external-signing.ts';

/**
 * Opens the HSM that the configuration names, if any. Its code is loaded only then, because it calls a native library.
 * @throws SignerUnavailable if this server cannot use the HSM
 */
export async function openExternal({ keys }: Pick<Config, 'keys'>): Promise<External | undefined> {
  const { algorithms, pkcs11, signer } = keys;
  if (pkcs11 === undefined) return undefined;
  const makesNewKeys = signer === 'pkcs11';
  const { openPkcs11Signer } = await import('./pkcs11/pkcs11-signer.ts').catch((cause: unknown) => {
    throw new SignerUnavailable(
      'keys.pkcs11 needs the package koffi, which is not installed: install without --omit=optional.',
      {
        cause,
      },
    );
  });
  return { signer: await openPkcs11Signer(pkcs11, makesNewKeys ? algorithms : []), makesNewKeys };
}
