// The package's public API. Everything that is not exported here may change.
export type { AccessToken } from './access-token.ts';
export type { Answer } from './answer.ts';
export type { ApiRequest } from './api-request.ts';
export type { Decision } from './decision.ts';
export type { ReplayStore } from './dpop-replays.ts';
export {
  AccessRefused,
  InsufficientAuthentication,
  InsufficientScope,
  InvalidProof,
  InvalidRequest,
  InvalidToken,
  IssuerUnavailable,
  MissingToken,
  NonceRequired,
  StatusUnavailable,
  ReplaysUnavailable,
} from './errors.ts';
export type { TokenFault } from './errors.ts';
export { expressGuard, expressMetadata } from './express.ts';
export { fastifyGuard, fastifyMetadata } from './fastify.ts';
export { fetchGuard, fetchMetadata } from './fetch.ts';
export { guard, serveMetadata } from './guard.ts';
export type { Guard } from './guard.ts';
export { accessTokenOf } from './access-token.ts';
export { koaGuard, koaMetadata } from './koa.ts';
export type { Requirements } from './requirements.ts';
export type { DpopOptions, StatusOptions, VerifierOptions } from './options.ts';
export type { ResourceMetadata } from './resource-metadata.ts';
export { createVerifier } from './verifier.ts';
export type { Verifier } from './verifier.ts';
