import type { AccessToken } from './access-token.ts';
import type { ApiRequest } from './api-request.ts';
import { decide } from './decision.ts';
import type { Decision, DecisionRules } from './decision.ts';
import { InvalidToken } from './errors.ts';
import { issuerOf } from './issuer.ts';
import { demand } from './requirements.ts';
import type { Requirements } from './requirements.ts';
import type { VerifierOptions } from './options.ts';
import { resourceMetadata } from './resource-metadata.ts';
import type { ResourceMetadata } from './resource-metadata.ts';
import { bindingOf } from './sender.ts';
import { schemesOf, senderRules } from './sender-rules.ts';
import { settingsOf } from './settings.ts';
import { signedTokens } from './signed-token.ts';

export interface Verifier {
  readonly audience: string;
  /** This API's metadata (RFC 9728); undefined if `audience` is not an http URL. */
  readonly metadata: ResourceMetadata | undefined;
  /**
   * Verifies a token that came without an HTTP request. A token that is bound to a key is refused, because nothing proves possession of the key.
   * @throws InvalidToken, IssuerUnavailable, StatusUnavailable
   */
  verify(token: string): Promise<AccessToken>;
  /**
   * Decides on requests; the guards for the frameworks are made of it.
   * @throws TypeError when a need could not stand in a header or never be fulfilled.
   */
  guard(requirements?: Requirements): (request: ApiRequest) => Promise<Decision>;
  /** Ends what goes on in the background. None of it keeps a process alive. */
  close(): void;
}

/**
 * Verifies JWT access tokens (RFC 9068 §4) by their issuer's published keys, and checks that they are not revoked.
 * @throws TypeError when an option cannot be right.
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
