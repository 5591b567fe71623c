import type { Client, Configuration, KoaContextWithOIDC } from 'oidc-provider';
import type { Middleware } from 'koa';
import { renderSVG } from 'uqr';
import type { ResourceConfig } from '../../config/schema.ts';
import { scopesInWords } from '../../accounts/consents.ts';
import { addressBlock } from '../../http/address-block.ts';
import type { Announce } from '../../events/events.ts';
import { clientAddress, requestId } from '../../http/request-facts.ts';
import { showPage, type Views } from '../../http/view.ts';
import type { PageData, PageName } from '../../http/pages.ts';
import { faces, Problem } from '../../http/problems.ts';
import type { Clock } from '../../lib/clock.ts';
import { appInWords } from '../clients/app-description.ts';
import type { EnginePages } from '../pages.ts';
import type { AccountOf } from '../requests/request-account.ts';
import { TooManyPending } from '../storage/pending-requests.ts';
import { requestedAccess } from '../requests/requested-scopes.ts';
import { routes } from '../endpoints.ts';
import { POLL_INTERVAL } from '../polling.ts';
import { route, unsecured, type Route } from '../../http/route.ts';
import { TooManyGuesses } from './user-code-guesses.ts';

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>;

interface DevicePagesDependencies {
  views: Views;
  accountOf: AccountOf;
  resources: readonly ResourceConfig[];
  announce: Announce;
  clock: Clock;
}

/** Address and time of a device's request, for the person to compare with their own (RFC 8628 §5.4). */
interface Origin {
  address: string;
  /** In milliseconds since the epoch. */
  at: number;
}

/** The pages on which a person confirms a device (RFC 8628 §3.3). */
export function devicePages(
  dependencies: DevicePagesDependencies,
  { renderError }: Pick<EnginePages, 'renderError'>,
): DeviceFlow {
  return {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    deviceInfo: (context) => ({ address: clientAddress(context), at: dependencies.clock.now() }) satisfies Origin,

    async userCodeInputSource(context, _form, out, error) {
      if (error instanceof TooManyPending && out !== undefined) {
        // The engine has put a form token into the session. That session must not be stored, because too many requests
        // are pending.
        Object.assign(context.oidc.session ?? {}, { touched: false });
        await renderError(context, out, error);
      } else if (error !== undefined && out?.error === 'server_error') await renderError(context, out, error);
      else if (error?.name === 'AbortedError') showRefused(dependencies, context);
      else if (error !== undefined && hasNoSession(context)) showOutOfDate(dependencies, context);
      else
        show(dependencies, context, 'device-code', {
          ...formOf(context),
          ...typedCode(context),
          ...complaint(context, error),
        });
    },

    async userCodeConfirmSource(context, _form, client, origin, userCode) {
      show(dependencies, context, 'device-confirm', {
        ...formOf(context),
        userCode,
        ...(await requestInWords(dependencies, context, client)),
        ...originInWords(context, origin as unknown as Origin, dependencies.clock),
      });
    },

    successSource(context) {
      const { client, session } = context.oidc;
      const address = clientAddress(context);
      dependencies.announce({
        type: 'device.allowed',
        account: session?.accountId ?? '',
        client: client?.clientId ?? '',
        address,
      });
      show(dependencies, context, 'device-done', { isAllowed: true, clientName: client?.clientName ?? '' });
    },
  };
}

function show<Name extends PageName>(
  { views }: DevicePagesDependencies,
  context: KoaContextWithOIDC,
  page: Name,
  data: PageData[Name],
) {
  showPage(context, views.render(page, data));
}

/** Returns the form's address and the engine's form token, which the session holds. */
function formOf({ oidc }: KoaContextWithOIDC): { action: string; xsrf: string } {
  const secret: unknown = oidc.session?.state?.['secret'];
  return { action: new URL(oidc.urlFor('code_verification')).pathname, xsrf: typeof secret === 'string' ? secret : '' };
}

function showRefused(dependencies: DevicePagesDependencies, context: KoaContextWithOIDC): void {
  const client = context.oidc.entities.DeviceCode?.clientId ?? '';
  dependencies.announce({ type: 'device.denied', client, address: clientAddress(context) });
  show(dependencies, context, 'device-done', { isAllowed: false });
}

/** Tells whether the request has no stored session. The engine then has no form token to compare with. */
function hasNoSession({ oidc }: KoaContextWithOIDC): boolean {
  return oidc.session?.exp === undefined;
}

function showOutOfDate(dependencies: DevicePagesDependencies, context: KoaContextWithOIDC): void {
  const { title, message } = faces['form-expired'];
  const { oidc } = context;
  // The engine has put a form token into the session. It would fail to save that session, which was never begun.
  Object.assign(oidc.session ?? {}, { touched: false });
  const hint = `Open ${oidc.urlFor('code_verification')} and enter the code again, in a browser that keeps cookies.`;
  show(dependencies, context, 'error', { title, message, hint, requestId: requestId(context) });
}

/** Returns the user code: the typed one, or the one in the URL of the QR code (RFC 8628 §3.3.1). */
function typedCode({ oidc, originalUrl }: KoaContextWithOIDC): { userCode?: string } {
  const typed = oidc.params?.['user_code'] ?? new URL(originalUrl, oidc.issuer).searchParams.get('user_code');
  return typeof typed === 'string' && typed.length <= 20 ? { userCode: typed } : {};
}

const complaints: Readonly<Record<string, string>> = {
  NoCodeError: 'Enter the code that your device shows.',
  NotFoundError: 'We couldn’t find that code. Compare it with the one on your device.',
  ExpiredError: 'This code has expired. Start again on the device, and enter the new code.',
  AlreadyUsedError: 'This code has already been used. Start again on the device, and enter the new code.',
};

function complaint(
  context: KoaContextWithOIDC,
  error: Error | undefined,
): Pick<PageData['device-code'], 'error' | 'wait'> {
  if (error === undefined) return {};
  if (error instanceof TooManyGuesses) {
    context.set('Retry-After', String(error.seconds));
    return { wait: error.seconds };
  }
  return { error: complaints[error.name] ?? 'This page was out of date. Enter the code again.' };
}

async function requestInWords(dependencies: DevicePagesDependencies, context: KoaContextWithOIDC, client: Client) {
  const asked = requestedAccess(context.oidc.entities.DeviceCode?.params ?? {}, client, dependencies.resources);
  const account = await dependencies.accountOf(context, context.oidc.session?.accountId ?? '');
  return {
    ...appInWords(client, undefined),
    ...(account === undefined ? {} : { account: { name: account.name, email: account.email } }),
    scopes: scopesInWords(asked, dependencies.resources),
    offline: asked.scopes.includes('offline_access'),
  };
}

function originInWords(context: KoaContextWithOIDC, { address, at }: Origin, clock: Clock) {
  return {
    address,
    secondsAgo: (clock.now() - at) / 1000,
    isNear: addressBlock(address) === addressBlock(clientAddress(context)),
  };
}

/** Matches the path of the code page as the engine's router does: in any case, with or without a slash at the end. */
const CODE_PAGE = new RegExp(`^${routes.code_verification}/?$`, 'i');

/** Adds the polling interval to a device's response (RFC 8628 §3.2). */
export function addInterval(_context: KoaContextWithOIDC, answer: object): void {
  Object.assign(answer, { interval: POLL_INTERVAL });
}

/**
 * Hides the code in a URL from the engine, which would answer with a form that submits itself. The page reads the code
 * from the original URL, and fills it in.
 */
export const showCodePage: Middleware = (context, next) => {
  if (context.method !== 'POST' && CODE_PAGE.test(context.path)) context.querystring = '';
  return next();
};

/**
 * Serves the verification URL with a user code as a QR code, for a device that cannot draw one (RFC 8628 §3.3.1). The
 * response does not reveal whether the code is valid, and its URL leads only to this server.
 */
export function deviceQrRoute(issuer: string): Route {
  return route('GET', `${routes.code_verification}/qr.svg`, unsecured, (context) => {
    const code = context.query['user_code'];
    if (typeof code !== 'string' || !/^[A-Z]{4}-[A-Z]{4}$/.test(code))
      throw new Problem('not-found', 'the QR code needs a user_code');
    context.type = 'image/svg+xml';
    context.set('Cache-Control', 'no-store');
    context.body = renderSVG(`${issuer}${routes.code_verification}?user_code=${code}`, { ecc: 'M', border: 4 });
  });
}
