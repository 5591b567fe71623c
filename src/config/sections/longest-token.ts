import type { Config, ResourceConfig } from '../schema.ts';

/** Largest clock skew that the configuration may allow, in seconds. */
export const LARGEST_SKEW = 300;

/** The longest-lived token that an API or an app must verify, and the setting of its lifetime. */
interface LongestToken {
  setting: string;
  /** In seconds. */
  life: number;
}

export function longestToken(
  tokens: Config['tokens'],
  resources: readonly (ResourceConfig | undefined)[],
): LongestToken {
  const lives = [
    { setting: 'tokens.access_token', life: tokens.access_token },
    { setting: 'tokens.id_token', life: tokens.id_token },
    ...resources.map((resource, index) => ({
      setting: `resources[${index}].access_token_ttl`,
      life: resource?.access_token_ttl ?? 0,
    })),
  ];
  return lives.reduce((longest, one) => (one.life > longest.life ? one : longest));
}

/** Returns the lifetime of the longest-lived access token, in seconds. */
export function longestAccessToken({ tokens, resources }: Pick<Config, 'tokens' | 'resources'>): number {
  return Math.max(tokens.access_token, ...resources.map((resource) => resource.access_token_ttl ?? 0));
}
