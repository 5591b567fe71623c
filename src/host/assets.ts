import { widestBlock } from '../http/address-block.ts';
import { LOGO_PATH, type LogoAddresses } from '../http/logo-address.ts';
import { Problem } from '../http/problems.ts';
import { clientAddress } from '../http/request-facts.ts';
import { route, unsecured, type Route } from '../http/route.ts';
import type { Asset } from '../http/view.ts';
import type { Outgoing } from '../outgoing/outgoing.ts';

/** Serves the files that pages load. Their paths change with their content, so caches may keep them for ever. */
export function assetRoutes(assets: readonly Asset[]): Route[] {
  return assets.map(({ path, type, body }) =>
    route('GET', path, unsecured, (context) => {
      context.type = type;
      context.set('Cache-Control', 'public, max-age=31536000, immutable');
      context.body = body;
    }),
  );
}

/** Serves app logos from this server. The headers stop the browser from running content that an app's host sent. */
export function logoRoute({ logos, outgoing }: { logos: LogoAddresses; outgoing: Outgoing }): Route {
  return route('GET', LOGO_PATH, unsecured, async (context) => {
    const place = logos.read(context.URL.searchParams);
    if (place === undefined) throw new Problem('not-found', 'this server did not sign the URL of the picture');
    const side = place.isOfOperator ? outgoing.ofOperator : outgoing.ofStrangers;
    const logo = await side.logos.find(place.url, widestBlock(clientAddress(context)));
    if (logo === undefined) throw new Problem('not-found', 'there is no usable picture');
    context.set({
      'Content-Security-Policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Cache-Control': 'private, max-age=86400',
    });
    context.type = logo.type;
    context.body = logo.bytes;
  });
}
