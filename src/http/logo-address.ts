import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';
import { imageUrl } from './page-words.ts';

export const LOGO_PATH = '/logo';

/** The picture of an app, and whether the operator named its address or the app did itself. */
export interface LogoPlace {
  readonly url: string;
  readonly isOfOperator: boolean;
}

/** Addresses on this server for the pictures of apps. */
export interface LogoAddresses {
  /** @returns undefined for what no picture may be loaded from */
  readonly pathOf: (url: string | undefined, isOfOperator: boolean) => string | undefined;
  /** @returns undefined for an address that no page of this server has */
  read(query: URLSearchParams): LogoPlace | undefined;
}

/** Each address is signed: nobody has the server fetch what none of its pages shows. */
export function logoAddresses(key: Buffer): LogoAddresses {
  const macOf = ({ url, isOfOperator }: LogoPlace): string =>
    hmacSha256(key, `${isOfOperator ? 'operator' : 'app'} ${url}`);
  return {
    pathOf(text, isOfOperator) {
      const url = imageUrl(text);
      if (url === undefined || !URL.canParse(url)) return undefined;
      const mac = macOf({ url, isOfOperator });
      return `${LOGO_PATH}?${new URLSearchParams({ url, by: isOfOperator ? 'operator' : 'app', mac }).toString()}`;
    },
    read(query) {
      const place = { url: query.get('url') ?? '', isOfOperator: query.get('by') === 'operator' };
      return equalInConstantTime(macOf(place), query.get('mac') ?? '') ? place : undefined;
    },
  };
}
