import { equalInConstantTime, hmacSha256 } from '../lib/hash.ts';
import { imageUrl } from './page-words.ts';

export const LOGO_PATH = '/logo';

/** The address of an app's logo, and the party that named it: the operator or the app itself. */
interface LogoPlace {
  readonly url: string;
  readonly isOfOperator: boolean;
}

/** Addresses on this server from which pages load app logos. */
export interface LogoAddresses {
  /** @returns undefined for a URL from which no picture may be loaded */
  readonly pathOf: (url: string | undefined, isOfOperator: boolean) => string | undefined;
  /** @returns undefined for an address that this server did not sign */
  read(query: URLSearchParams): LogoPlace | undefined;
}

/** Signs each address, so that the server fetches only pictures that its own pages show. */
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
