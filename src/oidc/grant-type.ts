import type { TokenEndpointGrantContext } from 'oidc-provider';

/**
 * A grant type that this server adds to the engine's own (RFC 6749 §4.5). The client has authenticated before `handle`
 * is called.
 */
export interface GrantType {
  /** Value of `grant_type`, for which a client must be registered. */
  name: string;
  /** Parameters that `handle` reads. The engine drops all others. */
  parameters: readonly string[];
  /** Parameters that may be repeated (RFC 8707 §2). */
  repeatable?: readonly string[];
  /** Sets `context.body` to the token response. @throws the engine's errors, which become OAuth error responses */
  handle: (context: TokenEndpointGrantContext) => Promise<void>;
}
