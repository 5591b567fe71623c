import type { Provider } from 'oidc-provider';
import type { RingSnapshot } from '../keys/ring.ts';
import { signJwt } from '../oidc/internals.ts';

/** Signs what is not the engine's own: by the algorithm that is named, which readers take by default, where the ring has it. */
export function signAs(
  { alg: preferred, typ }: { alg: string; typ: string },
  provider: Provider,
  { signing }: RingSnapshot,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const algorithms: string[] = signing.map(({ alg }) => alg);
  const alg = algorithms.find((one) => one === preferred) ?? algorithms[0] ?? preferred;
  return signJwt(provider, claims, { alg, typ });
}
