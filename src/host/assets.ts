import { route, unsecured, type Route } from '../http/route.ts';
import type { Asset } from '../http/view.ts';

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
