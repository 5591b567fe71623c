import type { Config, ResourceConfig } from '../schema.ts';

/** Seconds by which the configuration may let any two clocks differ. */
export const LARGEST_SKEW = 300;

/** The token that an API or an app must verify for the longest time, and the setting of its lifetime. */
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

/** The life of the longest access token, in seconds. */
export function longestAccessToken({ tokens, resources }: Pick<Config, 'tokens' | 'resources'>): number {
  return Math.max(tokens.access_token, ...resources.map((resource) => resource.access_token_ttl ?? 0));
}
