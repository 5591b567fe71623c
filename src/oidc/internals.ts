/**
 * The one seam to what the engine does not export. Each import is a risk at every update of the engine: its reason
 * stands beside it, and a test fails when it is gone.
 */
import type { X509Certificate } from 'node:crypto';
import type { Context } from 'koa';
import type { AuthorizationCode, Grant, KoaContextWithOIDC, Provider, TokenEndpointGrantContext } from 'oidc-provider';
// @ts-expect-error: not part of the engine's types
import engineAuthorization from 'oidc-provider/lib/actions/authorization/index.js';
// @ts-expect-error: not part of the engine's types
import engineRequestObject from 'oidc-provider/lib/actions/authorization/process_request_object.js';
// @ts-expect-error: not part of the engine's types
import { checkScope as engineScopeCheck } from 'oidc-provider/lib/actions/authorization/scopes.js';
// @ts-expect-error: not part of the engine's types
import engineDiscovery from 'oidc-provider/lib/actions/discovery.js';
// @ts-expect-error: not part of the engine's types
import { confirm as engineConfirm, init as engineLogout } from 'oidc-provider/lib/actions/end_session.js';
// @ts-expect-error: not part of the engine's types
import engineIntrospection from 'oidc-provider/lib/actions/introspection.js';
// @ts-expect-error: not part of the engine's types
import engineRevocation from 'oidc-provider/lib/actions/revocation.js';
// @ts-expect-error: not part of the engine's types
import { issueTokens as engineIssueTokens } from 'oidc-provider/lib/helpers/grant_common.js';
import * as grants from 'oidc-provider/lib/helpers/grants.js';
// @ts-expect-error: not part of the engine's types
import certificateThumbprint from 'oidc-provider/lib/helpers/certificate_thumbprint.js';
// @ts-expect-error: not part of the engine's types
import { sign as engineSign } from 'oidc-provider/lib/helpers/jwt.js';
// @ts-expect-error: not part of the engine's types
import engineRevoke from 'oidc-provider/lib/helpers/revoke.js';
// @ts-expect-error: not part of the engine's types
import engineParts from 'oidc-provider/lib/helpers/weak_cache.js';
// @ts-expect-error: not part of the engine's types
import engineRejectsJwts from 'oidc-provider/lib/shared/reject_structured_tokens.js';

/** What the engine's own grants are made of, for grants of ours. */
export {
  buildTokenResponse,
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  findAccount,
  resolveRequestedResources,
  validateClientScope,
  validateDpop,
} from 'oidc-provider/lib/helpers/grants.js';

/** A step of one of the engine's endpoints. */
export type EngineStep = (context: KoaContextWithOIDC, next: () => Promise<void>) => Promise<void>;

/**
 * The engine takes no JWT where a token is introspected or revoked. Here it takes those that it can read, and says of the
 * others, which are encrypted for an API, what it says of all (RFC 7009 §2.2.1). Its steps are every provider's, and
 * are changed before there is one.
 */
for (const steps of [engineIntrospection, engineRevocation] as EngineStep[][]) {
  const at = steps.indexOf(engineRejectsJwts as EngineStep);
  if (at === -1) throw new Error('the engine no longer turns JWTs away');
  steps[at] = (context, next) => {
    const token = String(context.oidc.params?.['token']);
    return token.split('.').length === 5 ? (engineRejectsJwts as EngineStep)(context, next) : next();
  };
}

type AroundStep = (context: KoaContextWithOIDC, engine: () => Promise<void>) => Promise<void>;

const AUTHORIZATION_ENDPOINTS = [
  'authorization',
  'device_authorization',
  'pushed_authorization_request',
  'backchannel_authentication',
];

/** @returns runs a step of ours around one that the engine has at each of its authorization endpoints */
function aroundStep(step: unknown, does: string): (provider: Provider, around: AroundStep) => void {
  const arounds = new WeakMap<Provider, AroundStep>();
  for (const endpoint of AUTHORIZATION_ENDPOINTS) {
    const steps = (engineAuthorization as (endpoint: string) => EngineStep[])(endpoint);
    const at = steps.indexOf(step as EngineStep);
    if (at === -1) throw new Error(`the engine no longer ${does} at ${endpoint}`);
    steps[at] = async (context, next) => {
      const engine = () => (step as EngineStep)(context, () => Promise.resolve());
      await (arounds.get(context.oidc.provider)?.(context, engine) ?? engine());
      await next();
    };
  }
  return (provider, around) => {
    arounds.set(provider, around);
  };
}

/** Runs a check of ours around the engine's check of the scopes that a request asks for. */
export const aroundScopeCheck = aroundStep(engineScopeCheck, 'checks scopes');

/** Runs a step of ours around the engine's reading of a signed request. */
export const aroundRequestObject = aroundStep(engineRequestObject, 'reads signed requests');

/** The steps of a sign-out: the question, and its answer. */
const signOut: Record<'question' | 'answer', EngineStep[]> = {
  question: engineLogout as EngineStep[],
  answer: engineConfirm as EngineStep[],
};

/** Puts a step of ours around one of the engine's, for every provider; to be called before there is one. */
export function aroundSignOut(part: keyof typeof signOut, name: string, wrap: (step: EngineStep) => EngineStep): void {
  const at = signOut[part].findIndex((step) => step.name === name);
  const step = signOut[part][at];
  if (step === undefined) throw new Error(`the engine's sign-out has no step ${name}`);
  signOut[part][at] = wrap(step);
}

/** Shows the page that follows a sign-out, which the configuration has. */
export async function showAfterSignOut(context: KoaContextWithOIDC): Promise<void> {
  const { features } = partsOf(context.oidc.provider).configuration;
  await features.rpInitiatedLogout.postLogoutSuccessSource(context);
}

/** The engine's metadata document, for serving it from memory. `context.oidc` needs no request to make it. */
export function discoveryDocument(provider: Provider): Record<string, unknown> {
  const context = {
    body: {},
    oidc: { provider, issuer: provider.issuer, urlFor: (name: string) => provider.urlFor(name) },
  };
  (engineDiscovery as (context: unknown) => void)(context);
  return context.body;
}

/** The end of RP-initiated logout without its question, for a request that proved itself with an ID token. */
export async function endSessionNow(context: KoaContextWithOIDC): Promise<void> {
  const action = signOut.answer.at(-1);
  if (action === undefined || context.oidc.params === undefined) throw new Error('the engine has no end of a session');
  context.oidc.params['logout'] = 'yes';
  await action(context, () => Promise.resolve());
}

/** Sends an authorization error to the redirect URI, by the response mode that was asked for. */
export async function sendError(context: KoaContextWithOIDC, error: object): Promise<void> {
  const { provider, params = {}, responseMode } = context.oidc;
  const { responseModes } = partsOf(provider);
  const usual = String(params['response_type']).includes('token') ? 'fragment' : 'query';
  const send = responseModes.get(responseMode ?? usual) ?? responseModes.get(usual);
  const answer = Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined));
  await send?.(context, String(params['redirect_uri']), answer);
}

/** Sends parameters to a redirect URI, in one of the response modes. */
type Send = (context: KoaContextWithOIDC, redirectUri: string, answer: object) => unknown;

/** Puts a handler of ours around the engine's for a response mode. */
export function aroundResponseMode(provider: Provider, mode: string, wrap: (send: Send) => Send): void {
  const { responseModes } = partsOf(provider);
  const send = responseModes.get(mode);
  if (send === undefined) throw new Error(`the engine has no response mode ${mode}`);
  responseModes.set(mode, wrap(send));
}

/**
 * Has ID tokens that come back as a hint verified by these keys too. The engine's configuration takes private keys
 * only, and those that sign no more have none.
 */
export function verifyHintsBy(provider: Provider, keys: readonly object[]): void {
  const { keystore } = partsOf(provider);
  for (const key of keys) keystore.add({ ...key, key_ops: ['verify'] });
}

/** Answers a request at the token endpoint, in `context.body`. */
export type GrantHandler = (context: KoaContextWithOIDC) => Promise<void>;

/** Puts a handler of ours around the engine's for a grant type; its parameters stay. */
export function aroundGrant(provider: Provider, name: string, wrap: (engine: GrantHandler) => GrantHandler): void {
  const handlers = partsOf(provider).grantTypeHandlers;
  const engine = handlers.get(name);
  if (engine === undefined) throw new Error(`the engine has no grant ${name}`);
  handlers.set(name, wrap(engine));
}

/** Deletes every token of a grant, and the grant, as the engine does on a replay, and emits `grant.revoked`. */
export async function endFamily(context: KoaContextWithOIDC, grantId: string | undefined): Promise<void> {
  await (engineRevoke as (context: KoaContextWithOIDC, grantId: string | undefined) => Promise<void>)(context, grantId);
}

/**
 * The key that the sender of a token request proves to hold, and that the engine binds its tokens to (RFC 9449 §5,
 * RFC 8705 §3). A proof is looked at once for each request, however often it is asked for.
 * @throws the engine's error for a proof that is not valid
 */
export async function senderKey(context: KoaContextWithOIDC): Promise<string | undefined> {
  const { provider, client } = context.oidc;
  const proof = await grants.validateDpop(provider, context as TokenEndpointGrantContext);
  if (proof !== undefined) return `jkt ${proof.thumbprint}`;
  if (client?.tlsClientCertificateBoundAccessTokens !== true) return undefined;
  const certificate = partsOf(provider).configuration.features.mTLS.getCertificate(context);
  return certificate && `x5t#S256 ${(certificateThumbprint as (certificate: Certificate) => string)(certificate)}`;
}

/** SHA-256 of a certificate, as tokens that are bound to it say it (RFC 8705 §3.1). */
export function thumbprintOf(certificate: X509Certificate | undefined): string | undefined {
  return certificate && (certificateThumbprint as (certificate: Certificate) => string)(certificate);
}

/**
 * The key that a request to an endpoint of ours proves to hold, for a token that is bound to one (RFC 9449 §7.1); the
 * engine looks at proofs for its own endpoints, and knows their addresses by name.
 * @param options.url the endpoint's
 * @returns its thumbprint, or undefined where there is no proof
 * @throws the engine's error for a proof that is not valid, or that was used before
 */
export async function keyProof(
  provider: Provider,
  context: Context,
  { url, token, client }: { url: string; token: string; client: string },
): Promise<string | undefined> {
  const oidc = { value: { provider, route: 'own', urlFor: () => url } };
  const seen = Object.create(context, { oidc }) as TokenEndpointGrantContext;
  const proof = await grants.validateDpop(provider, seen, token);
  await grants.checkDpopReplay(provider, seen, proof, client);
  return proof?.thumbprint;
}

type Certificate = string | X509Certificate;

/** Signs claims with the engine's key for an algorithm, wherever its private half is. */
export async function signJwt(
  provider: Provider,
  claims: Readonly<Record<string, unknown>>,
  { alg, typ }: { alg: string; typ: string },
): Promise<string> {
  const { keystore } = partsOf(provider);
  const [key] = keystore.selectForSign({ alg, use: 'sig' });
  if (key === undefined) throw new Error(`there is no key for ${alg}`);
  const sign = engineSign as (claims: object, key: object, alg: string, options: object) => Promise<string>;
  return sign({ ...claims }, keystore.getKeyObject(key), alg, { typ, fields: { kid: key.kid } });
}

interface EngineParts {
  keystore: {
    add(key: object): void;
    selectForSign(how: { alg: string; use: 'sig' }): { kid: string }[];
    getKeyObject(key: object): object;
  };
  grantTypeHandlers: Map<string, GrantHandler>;
  responseModes: Map<string, Send>;
  configuration: {
    features: {
      mTLS: { getCertificate(context: KoaContextWithOIDC): Certificate | undefined };
      rpInitiatedLogout: { postLogoutSuccessSource(context: KoaContextWithOIDC): Promise<void> };
    };
  };
}

function partsOf(provider: Provider): EngineParts {
  return (engineParts as (provider: Provider) => EngineParts)(provider);
}

/**
 * Answers with the tokens of the code flow: the access token, and the refresh and the ID token where they are due.
 * @param source what a code would say; it need not be saved
 */
export async function codeFlowTokens(
  context: TokenEndpointGrantContext,
  { source, grant, name }: { source: AuthorizationCode; grant: Grant; name: string },
): Promise<void> {
  const { provider } = context.oidc;
  const dPoP = await grants.validateDpop(provider, context);
  grants.checkDpopRequired(provider, context, dPoP);
  const cert = grants.checkMtlsCert(provider, context);
  // The engine's own grants are handed these with the provider filled in.
  const helpers = Object.fromEntries(
    Object.entries(grants).map(([helper, run]) => [
      helper,
      (...given: unknown[]) => (run as (...all: unknown[]) => unknown)(provider, ...given),
    ]),
  );
  const issue = engineIssueTokens as (...all: unknown[]) => Promise<void>;
  await issue(provider, helpers, context, source, grant, { gty: name, entityLabel: name, cert, dPoP });
}
