import type { AccessToken } from './access-token.ts';
import type { ApiRequest, Scheme } from './api-request.ts';
import { decide, type Decision, type DecisionRules } from './decision.ts';
import { InvalidToken } from './errors.ts';
import { issuerOf } from './issuer.ts';
import { demand, type Requirements } from './requirements.ts';
import type { VerifierOptions } from './options.ts';
import { resourceMetadata, type ResourceMetadata } from './resource-metadata.ts';
import { bindingOf, type SenderRules } from './sender.ts';
import { settingsOf, type Settings } from './settings.ts';
import { signedTokens } from './signed-token.ts';
import { Nonces } from './dpop-proofs.ts';
import { MemoryReplays } from './dpop-replays.ts';
import { publicPrefix } from './public-url.ts';

export interface Verifier {
  readonly audience: string;
  /** This API's metadata (RFC 9728); undefined if `audience` is not an http URL. */
  readonly metadata: ResourceMetadata | undefined;
  /**
   * Verifies a token that arrived outside an HTTP request. It refuses a token that is bound to a key or certificate,
   * because there is no proof of possession.
   * @throws InvalidToken, IssuerUnavailable, StatusUnavailable
   */
  verify(token: string): Promise<AccessToken>;
  /**
   * Returns a function that accepts or refuses requests. The framework guards use it.
   * @throws TypeError if a requirement is malformed, or names an `acr` that is not in `acrValues`
   */
  guard(requirements?: Requirements): (request: ApiRequest) => Promise<Decision>;
  /** Stops all background work. A process can also exit without this call. */
  close(): void;
}

/**
 * Creates a verifier of JWT access tokens (RFC 9068 §4). It checks signatures against the issuer's published keys, and
 * refuses revoked tokens.
 * @throws TypeError for an invalid option
 */
export function createVerifier(options: VerifierOptions): Verifier {
  const settings = settingsOf(options);
  const { audience, currentDate } = settings;
  const now = (): number => currentDate().getTime() / 1000;
  const { keys, statusLists } = issuerOf(settings);
  const sender = senderRules(settings, now);
  const schemes = schemesOf(sender);
  const metadata = resourceMetadata(settings, schemes, sender.proofs.algorithms);
  const rules: DecisionRules = {
    readToken: signedTokens(settings, keys.find),
    sender,
    checkStatus: ({ claims }) => statusLists?.check(claims),
    challenges: {
      realm: audience,
      schemes,
      dpopAlgorithms: sender.proofs.algorithms,
      resourceMetadata: metadata?.url,
    },
    onRefusal: settings.onRefusal,
  };

  return {
    audience,
    metadata,
    async verify(text) {
      const token = await rules.readToken(text);
      const { jkt, thumbprint } = bindingOf(token.claims);
      if ((jkt ?? thumbprint) !== undefined) throw new InvalidToken('sender_constrained');
      if (sender.dpopRequired) throw new InvalidToken('unbound');
      await rules.checkStatus(token);
      return token;
    },
    guard(requirements = {}) {
      const demanded = demand(requirements, { ...settings, now });
      return (request) => decide(request, demanded, rules);
    },
    close() {
      statusLists?.close();
    },
  };
}

/**
 * @param now returns seconds since the Unix epoch
 * @throws TypeError if DPoP is required, but neither `publicUrl` nor `audience` gives the API's URL
 */
function senderRules(settings: Settings, now: () => number): SenderRules {
  const { audience, publicUrl, certificate, clockTolerance, dpop } = settings;
  const { required, algorithms, window, nonces } = dpop;
  const prefix = publicPrefix(publicUrl, audience);
  if (required && prefix === undefined) throw new TypeError('DPoP needs publicUrl where audience is no URL');
  return {
    // Used proofs are remembered equally long with and without nonces, because a nonce is valid for at most two
    // windows.
    proofs: {
      algorithms,
      window,
      clockTolerance,
      nonces: nonces ? new Nonces(dpop.nonceSecret, window, now) : undefined,
      replays: dpop.replays ?? new MemoryReplays(),
      now,
    },
    publicPrefix: prefix,
    dpopRequired: required,
    certificateOf: certificate,
  };
}

/** Returns the authentication schemes that this API accepts. */
function schemesOf({ publicPrefix: prefix, dpopRequired }: SenderRules): Scheme[] {
  if (dpopRequired) return ['DPoP'];
  return prefix === undefined ? ['Bearer'] : ['Bearer', 'DPoP'];
}
