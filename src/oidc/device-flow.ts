import type { Provider } from 'oidc-provider';
import { routes } from './endpoints.ts';
import { POLL_INTERVAL } from './polling.ts';

/** As the engine's router compares paths. */
const CODE_PAGE = new RegExp(`^${routes.code_verification}/?$`, 'i');

/** What the engine leaves out of the device flow: how often to poll, and a page that needs no script. */
export function completeDeviceFlow(provider: Provider): void {
  provider.on('device_authorization.success', (_context, answer) => {
    Object.assign(answer, { interval: POLL_INTERVAL });
  });
  // The engine would answer an address with a code by a form that sends itself; our page reads the code by itself.
  provider.use((context, next) => {
    if (context.method !== 'POST' && CODE_PAGE.test(context.path)) context.querystring = '';
    return next();
  });
}
