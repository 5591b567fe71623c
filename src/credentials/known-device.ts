import type { Clock } from '../lib/clock.ts';
import { epochSeconds } from '../lib/clock.ts';
import { equalInConstantTime, hmacSha256, sha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';

/** How long a device stays known after a sign-in, in seconds; also the cookie's Max-Age. */
export const KNOWN_DEVICE_LIFE = 365 * 24 * 3600;

/**
 * Tokens that say "someone has signed in to this account from this device". One opens nothing: it only lets the
 * device's attempts be counted apart from everybody else's (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
 */
export interface KnownDevices {
  /** Emails are normalised ones. A device that is known keeps its id, so that it keeps its count. */
  issue(email: string, knownDevice: string | undefined): string;
  /** @returns the device's id, when the token is for this email, unaltered and not expired */
  verify(token: string | undefined, email: string): string | undefined;
}

export function openKnownDevices(options: { key: string | Buffer; clock: Clock; random: Random }): KnownDevices {
  const { key, clock, random } = options;

  function sign(device: string, expiresAt: string, email: string): string {
    return hmacSha256(key, ['known-device', device, expiresAt, sha256(email)].join('\n'));
  }

  return {
    issue(email, knownDevice) {
      const device = knownDevice ?? random.bytes(16).toString('base64url');
      const expiresAt = String(epochSeconds(clock) + KNOWN_DEVICE_LIFE);
      return [device, expiresAt, sign(device, expiresAt, email)].join('.');
    },
    verify(token, email) {
      const [device, expiresAt, signature, ...rest] = token?.split('.') ?? [];
      if (device === undefined || expiresAt === undefined || signature === undefined || rest.length > 0)
        return undefined;
      if (!equalInConstantTime(signature, sign(device, expiresAt, email))) return undefined;
      return Number(expiresAt) > epochSeconds(clock) ? device : undefined;
    },
  };
}
