import type { Context } from 'koa';
import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';
import type { Random } from '../lib/random.ts';
import { browserFor, browsersOf } from './browser-cookies.ts';

/** CSRF tokens, which prove that this server showed the form to this browser. */
export interface Csrf {
  /**
   * Returns a new token for a form. The token also identifies the form.
   * @param purpose identifies the form's interaction or session
   */
  token(context: Context, purpose: string): string;
  verify(context: Context, purpose: string, token: string | undefined): boolean;
}

export function csrfTokens(key: Buffer, random: Random): Csrf {
  const sign = (browser: string, purpose: string, nonce: string): string =>
    hmacSha256(key, [browser, purpose, nonce].join('\n'));
  return {
    token(context, purpose) {
      const nonce = random.bytes(16).toString('base64url');
      return `${nonce}.${sign(browserFor(context, random), purpose, nonce)}`;
    },
    verify(context, purpose, token = '') {
      const [nonce = '', signature = '', ...rest] = token.split('.');
      if (rest.length > 0) return false;
      return browsersOf(context).some((browser) => equalInConstantTime(sign(browser, purpose, nonce), signature));
    },
  };
}
