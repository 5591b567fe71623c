/**
 * The only file that imports modules that the engine does not export. Each import may break with an update of the
 * engine. So `docs/engine.md` lists its use, and a test fails if the module is gone.
 */
import type { X509Certificate } from 'node:crypto';
import type { Context } from 'koa';
import type { AuthorizationCode, Grant, KoaContextWithOIDC, Provider, TokenEndpointGrantContext } from 'oidc-provider';
// @ts-expect-error: not part of the engine's types
import engineAuthorization from 'oidc-provider/lib/actions/authorization/index.js';
// @ts-expect-error: not part of the engine's types
import engineDiscovery from 'oidc-provider/lib/actions/discovery.js';
// @ts-expect-error: not part of the engine's types
import { confirm as engineConfirm, init as engineLogout } from 'oidc-provider/lib/actions/end_session.js';
// @ts-expect-error: not part of the engine's types
import engineIntrospection from 'oidc-provider/lib/actions/introspection.js';
// @ts-expect-error: not part of the engine's types
import engineRevocation from 'oidc-provider/lib/actions/revocation.js';
// @ts-expect-error: not part of the engine's types
import engineToken from 'oidc-provider/lib/actions/token.js';
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
import engineInternals from 'oidc-provider/lib/helpers/weak_cache.js';

/** Building blocks of the engine's own grants, for the grants of this server. */
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

/** Steps of the engine's endpoints by route. Every provider copies them when it is made. */
const steps: Readonly<Record<string, EngineStep[]>> = {
  authorization: authorizationSteps('authorization'),
  backchannel_authentication: authorizationSteps('backchannel_authentication'),
  device_authorization: authorizationSteps('device_authorization'),
  pushed_authorization_request: authorizationSteps('pushed_authorization_request'),
  introspection: engineIntrospection as EngineStep[],
  revocation: engineRevocation as EngineStep[],
  token: engineToken as EngineStep[],
  end_session: engineLogout as EngineStep[],
  end_session_confirm: engineConfirm as EngineStep[],
};

function authorizationSteps(endpoint: string): EngineStep[] {
  return (engineAuthorization as (endpoint: string) => EngineStep[])(endpoint);
}

/** Finds the original step of an endpoint by the name of its function, even if a fork took its place. */
export function engineStep(route: string, name: string): EngineStep | undefined {
  return steps[route]?.map((step) => forked.get(step) ?? step).find((step) => step.name === name);
}

/** The engine's steps by the forks that took their place. */
const forked = new WeakMap<EngineStep, EngineStep>();
const ownSteps = new WeakMap<Provider, Map<string, EngineStep>>();

/** Puts a fork in place of a step, so that each provider can replace it. Call it before any provider is made. */
export function forkStep(route: string, name: string): void {
  const all = steps[route] ?? [];
  const at = all.findIndex((step) => step.name === name);
  const engine = all[at];
  if (engine === undefined) return;
  const fork: EngineStep = (context, next) => {
    const own = ownSteps.get(context.oidc.provider)?.get(`${route} ${name}`);
    return (own ?? engine)(context, next);
  };
  forked.set(fork, engine);
  all[at] = fork;
}

/** Replaces a step for one provider. */
export function replaceStep(provider: Provider, [route, name]: readonly [string, string], step: EngineStep): void {
  const own = ownSteps.get(provider) ?? new Map<string, EngineStep>();
  ownSteps.set(provider, own.set(`${route} ${name}`, step));
}

/** Shows the configured page after a sign-out. */
export async function showAfterSignOut(context: KoaContextWithOIDC): Promise<void> {
  const { features } = internalsOf(context.oidc.provider).configuration;
  await features.rpInitiatedLogout.postLogoutSuccessSource(context);
}

/** Returns the server's metadata document, which is served from memory. The engine builds it without a real request. */
export function discoveryDocument(provider: Provider): Record<string, unknown> {
  const context = {
    body: {},
    oidc: { provider, issuer: provider.issuer, urlFor: (name: string) => provider.urlFor(name) },
  };
  (engineDiscovery as (context: unknown) => void)(context);
  return context.body;
}

/** Completes RP-initiated logout without a question. Call it only if an ID token has authenticated the request. */
export async function endSessionNow(context: KoaContextWithOIDC): Promise<void> {
  const action = steps['end_session_confirm']?.at(-1);
  if (action === undefined || context.oidc.params === undefined) throw new Error('the engine has no end of a session');
  context.oidc.params['logout'] = 'yes';
  await action(context, () => Promise.resolve());
}

/** Sends an authorization error to the redirect URI in the requested response mode. */
export async function sendError(context: KoaContextWithOIDC, error: object): Promise<void> {
  const { provider, params = {}, responseMode } = context.oidc;
  const { responseModes } = internalsOf(provider);
  const usual = String(params['response_type']).includes('token') ? 'fragment' : 'query';
  const send = responseModes.get(responseMode ?? usual) ?? responseModes.get(usual);
  const answer = Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined));
  await send?.(context, String(params['redirect_uri']), answer);
}

/** Sends parameters to a redirect URI in one response mode. */
export type Send = (context: KoaContextWithOIDC, redirectUri: string, answer: object) => unknown;

/**
 * Adds keys that only verify ID token hints. The configuration of the engine accepts private keys only, and keys that
 * no longer sign have no private key here.
 */
export function verifyHintsBy(provider: Provider, keys: readonly object[]): void {
  const { keystore } = internalsOf(provider);
  for (const key of keys) keystore.add({ ...key, key_ops: ['verify'] });
}

/** Handler of a grant type. It writes the token response to `context.body`. */
export type GrantHandler = (context: KoaContextWithOIDC) => Promise<void>;

/** Returns the handlers of a provider for grant types and response modes, by name. */
export function engineHandlers(provider: Provider): {
  readonly grants: Map<string, GrantHandler>;
  readonly responseModes: Map<string, Send>;
} {
  const { grantTypeHandlers: grants, responseModes } = internalsOf(provider);
  return { grants, responseModes };
}

/** Deletes a grant and all its tokens, as the engine does on a replay, and emits `grant.revoked`. */
export async function endFamily(context: KoaContextWithOIDC, grantId: string | undefined): Promise<void> {
  await (engineRevoke as (context: KoaContextWithOIDC, grantId: string | undefined) => Promise<void>)(context, grantId);
}

/**
 * Returns the thumbprint of the key or certificate to which the engine binds the tokens of a request (RFC 9449 §5, RFC
 * 8705 §3). The engine checks the proof of a request once, even if this is called several times. @throws the engine's
 * error for an invalid proof
 */
export async function senderKey(context: KoaContextWithOIDC): Promise<string | undefined> {
  const { provider, client } = context.oidc;
  const proof = await grants.validateDpop(provider, context as TokenEndpointGrantContext);
  if (proof !== undefined) return `jkt ${proof.thumbprint}`;
  if (client?.tlsClientCertificateBoundAccessTokens !== true) return undefined;
  const certificate = internalsOf(provider).configuration.features.mTLS.getCertificate(context);
  return certificate && `x5t#S256 ${(certificateThumbprint as (certificate: Certificate) => string)(certificate)}`;
}

/** Returns the SHA-256 thumbprint of a certificate, as in certificate-bound tokens (RFC 8705 §3.1). */
export function thumbprintOf(certificate: X509Certificate | undefined): string | undefined {
  return certificate && (certificateThumbprint as (certificate: Certificate) => string)(certificate);
}

/**
 * Checks the DPoP proof of a request to one of this server's own endpoints (RFC 9449 §7.1). The engine checks proofs
 * only for its own endpoints. @param options.url the endpoint's URL @returns the thumbprint of the proven key, or
 * undefined without a proof @throws the engine's error for a proof that is invalid or used
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

/** Signs claims with the engine's key for an algorithm, which may be in an external signer. */
export async function signJwt(
  provider: Provider,
  claims: Readonly<Record<string, unknown>>,
  { alg, typ }: { alg: string; typ: string },
): Promise<string> {
  const { keystore } = internalsOf(provider);
  const [key] = keystore.selectForSign({ alg, use: 'sig' });
  if (key === undefined) throw new Error(`there is no key for ${alg}`);
  const sign = engineSign as (claims: object, key: object, alg: string, options: object) => Promise<string>;
  return sign({ ...claims }, keystore.getKeyObject(key), alg, { typ, fields: { kid: key.kid } });
}

interface EngineInternals {
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

function internalsOf(provider: Provider): EngineInternals {
  return (engineInternals as (provider: Provider) => EngineInternals)(provider);
}

/**
 * Issues the tokens of the code flow: the access token, and the refresh and ID token if they are due. @param
 * options.source an authorization code with the facts of the sign-in; it need not be saved
 */
export async function codeFlowTokens(
  context: TokenEndpointGrantContext,
  { source, grant, name }: { source: AuthorizationCode; grant: Grant; name: string },
): Promise<void> {
  const { provider } = context.oidc;
  const dPoP = await grants.validateDpop(provider, context);
  grants.checkDpopRequired(provider, context, dPoP);
  const cert = grants.checkMtlsCert(provider, context);
  // The engine passes these helpers to its own grants with the provider as a fixed first argument.
  const helpers = Object.fromEntries(
    Object.entries(grants).map(([helper, run]) => [
      helper,
      (...given: unknown[]) => (run as (...all: unknown[]) => unknown)(provider, ...given),
    ]),
  );
  const issue = engineIssueTokens as (...all: unknown[]) => Promise<void>;
  await issue(provider, helpers, context, source, grant, { gty: name, entityLabel: name, cert, dPoP });
}
