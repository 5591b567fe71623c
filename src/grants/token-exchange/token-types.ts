/** Token type identifiers (RFC 8693 §3). */
export const TOKEN_TYPE = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  id_jag: 'urn:ietf:params:oauth:token-type:id-jag',
} as const;

/** Types of token that may be presented, as the configuration names them. */
export type PresentedType = 'access_token' | 'id_token';

export function presentedType(urn: string): PresentedType | undefined {
  return (['access_token', 'id_token'] as const).find((name) => TOKEN_TYPE[name] === urn);
}
