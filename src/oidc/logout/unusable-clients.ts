import { errors, type Provider } from 'oidc-provider';
import { isSignOut } from './whole-sign-out.ts';

/**
 * Skips unusable apps when a session ends. The engine looks every app up and would fail for one whose document or
 * profile has changed, so the person would stay signed in.
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
