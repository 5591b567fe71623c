// The kit's public face, which package.json exports: what is not named here may change.
export type { AccessToken } from './access-token.ts';
export {
  AccessRefused,
  InsufficientScope,
  InvalidRequest,
  InvalidToken,
  IssuerUnavailable,
  MissingToken,
} from './errors.ts';
export type { TokenFault } from './errors.ts';
export { guard } from './guard.ts';
export type { Guard, Needs } from './guard.ts';
export { createVerifier } from './verifier.ts';
export type { Verifier, VerifierOptions } from './verifier.ts';
