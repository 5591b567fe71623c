import { errors, type Provider } from 'oidc-provider';
import { isSignOut } from './whole-sign-out.ts';

/**
 * The engine looks up every app of a session that ends, and would not end it for one that cannot be used any more: its
 * document or the server's profile has changed. Such an app is passed over, so that none keeps a person signed in.
 */
export function passOverUnusable(
  engine: Provider['Client']['find'],
  { provider }: { provider: Provider },
): Provider['Client']['find'] {
  return async (id) => {
    try {
      return await engine.call(provider.Client, id);
    } catch (error) {
      if (isSignOut() && error instanceof errors.InvalidClientMetadata) return undefined;
      throw error;
    }
  };
}
