import type { Clock } from '../lib/clock.ts';
import { epochSeconds } from '../lib/clock.ts';
import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';

/** Time in seconds for which a device stays known after a sign-in; also the cookie's Max-Age. */
export const KNOWN_DEVICE_LIFE = 365 * 24 * 3600;

/** The credential with which somebody signed in on a device. */
export interface DeviceCredential {
  account: string;
  /** The version of the password. Each new password has another version, which invalidates all device tokens. */
  version: string;
}

/**
 * Tokens that record a sign-in to an account, with its current password, on a device. A token grants no access: it only
 * gives the device's attempts their own count (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
 */
export interface KnownDevices {
  /** Issues a token. A known device keeps its id, and so its count. */
  issue(credential: DeviceCredential, knownDevice: string | undefined): string;
  /** Verifies a token. @returns the device's id if the token is for this credential, unaltered and not expired */
  verify(token: string | undefined, credential: DeviceCredential): string | undefined;
  /**
   * Reads a token without its credential. @returns the device's id if anybody has signed in on it; the answer reveals
   * no account
   */
  browser(token: string | undefined): string | undefined;
}

export function openKnownDevices(options: { key: string | Buffer; clock: Clock; random: Random }): KnownDevices {
  const { key, clock, random } = options;

  function sign(device: string, expiresAt: string, { account, version }: DeviceCredential): string {
    return hmacSha256(key, ['known-device of a credential', device, expiresAt, account, version].join('\n'));
  }

  function mark(device: string, expiresAt: string): string {
    return hmacSha256(key, ['known browser', device, expiresAt].join('\n'));
  }

  /** Reads a token. @returns its parts, if this server issued the token and it has not expired */
  function read(token: string | undefined): { device: string; expiresAt: string; signature: string } | undefined {
    const [device, expiresAt, signature, marked, ...rest] = token?.split('.') ?? [];
    if (device === undefined || expiresAt === undefined || signature === undefined || marked === undefined)
      return undefined;
    if (rest.length > 0 || !equalInConstantTime(marked, mark(device, expiresAt))) return undefined;
    return Number(expiresAt) > epochSeconds(clock) ? { device, expiresAt, signature } : undefined;
  }

  return {
    issue(credential, knownDevice) {
      const device = knownDevice ?? random.bytes(16).toString('base64url');
      const expiresAt = String(epochSeconds(clock) + KNOWN_DEVICE_LIFE);
      return [device, expiresAt, sign(device, expiresAt, credential), mark(device, expiresAt)].join('.');
    },
    verify(token, credential) {
      const known = read(token);
      if (known === undefined) return undefined;
      return equalInConstantTime(known.signature, sign(known.device, known.expiresAt, credential))
        ? known.device
        : undefined;
    },
    browser: (token) => read(token)?.device,
  };
}
