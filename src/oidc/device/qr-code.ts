import { renderSVG } from 'uqr';
import { Problem } from '../../http/problems.ts';
import { route, unsecured, type Route } from '../../http/route.ts';
import { routes } from '../endpoints.ts';

/**
 * Serves a device's URL as a QR code, for a device that cannot draw one (RFC 8628 §3.3.1). It does not reveal whether
 * the code is valid, and leads only to this server.
 */
export function deviceQrRoute(issuer: string): Route {
  return route('GET', `${routes.code_verification}/qr.svg`, unsecured, (context) => {
    const code = context.query['user_code'];
    if (typeof code !== 'string' || !/^[A-Z]{4}-[A-Z]{4}$/.test(code))
      throw new Problem('not-found', 'the picture needs a user_code');
    context.type = 'image/svg+xml';
    context.set('Cache-Control', 'no-store');
    context.body = renderSVG(`${issuer}${routes.code_verification}?user_code=${code}`, { ecc: 'M', border: 4 });
  });
}
