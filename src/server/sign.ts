import type { Provider } from 'oidc-provider';
import type { Signers } from '../domain/serving.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import { signJwt } from '../oidc/internals.ts';

/** Signs a JWT that the engine does not make, with the current engine. */
export function signersOf(provider: () => Provider, ring: Pick<KeyRing, 'current'>): Signers {
  /** Algorithm to prefer if the ring has a key for it: the default of readers. */
  const signAs = (preferred: string, typ: string, claims: Readonly<Record<string, unknown>>): Promise<string> => {
    const algorithms: string[] = ring.current().signing.map(({ alg }) => alg);
    const alg = algorithms.find((one) => one === preferred) ?? algorithms[0] ?? preferred;
    return signJwt(provider(), claims, { alg, typ });
  };
  return {
    list: (claims) => signAs('ES256', 'statuslist+jwt', claims),
    // CAEP Interoperability Profile 1.0 §2.6 knows RS256 alone.
    event: (claims) => signAs('RS256', 'secevent+jwt', claims),
  };
}
