import { errors, type Client, type ErrorOut, type KoaContextWithOIDC } from 'oidc-provider';
import type { Consents } from '../accounts/consents.ts';
import { showPage, type Views } from '../http/view.ts';
import { withParameters } from '../http/response-headers.ts';
import type { PageData } from '../http/pages.ts';
import { requestId } from '../http/request-facts.ts';
import { printable } from '../lib/hidden-characters.ts';
import { faces, type ProblemFace } from '../http/problems.ts';
import { SignerUnavailable } from '../keys/external-signing.ts';
import { StoreUnavailable } from '../storage/store.ts';
import { isHeld, maySendTo } from './clients/unvetted-clients.ts';
import { sendError } from './internals.ts';
import { TooManyPending } from './storage/pending-requests.ts';

type Words = Omit<PageData['error'], 'requestId'>;

type RenderError = (context: KoaContextWithOIDC, out: ErrorOut, error: Error) => Promise<void>;

/**
 * Renders an error that the engine does not send to a client. If the error was held back from an unvetted app, it is
 * sent if the person has allowed the app something before.
 */
export function errorPages(views: Views, consents: Consents): RenderError {
  return async (context, out, error) => {
    const { client } = context.oidc;
    if (isHeld(error) && namesAddressOf(client, context) && (await maySendTo(client, context, consents))) {
      await sendError(context, out);
      return;
    }
    if (out.error === 'server_error') context.status = wireErrorOf(error).status;
    // The engine sets the status of a redirect for errors of `prompt=none`.
    if (context.status < 400) context.status = 400;
    showPage(context, views.render('error', { ...wordsFor(context, out, error), requestId: requestId(context) }));
  };
}

/** Tells whether the request names a registered redirect URI of the client. Without one, the error must not be sent. */
function namesAddressOf(client: Client | undefined, { oidc: { params } }: KoaContextWithOIDC): client is Client {
  const uri = params?.['redirect_uri'];
  return typeof uri === 'string' && client?.redirectUriAllowed(uri) === true;
}

function wordsFor(context: KoaContextWithOIDC, out: ErrorOut, error: Error): Words {
  if (out.error === 'server_error' || error instanceof TooManyPending) {
    const { title, message, hint = '', error: code } = wireErrorOf(error);
    return { title, message, hint, code };
  }
  if (isHeld(error)) return heldBack(context, out, error);
  const unregistered = unknownClient(context, error) ?? unknownAddress(error);
  if (unregistered !== undefined) return { ...unregistered, code: out.error };
  return {
    title: 'This app sent an invalid request',
    message: sentence(out.error_description) ?? 'The request is not valid.',
    hint: 'Go back to the app and try again. If that does not help, tell the people who make the app.',
    code: out.error,
  };
}

/** Returns the client id of a request whose client does not exist, for a page or a log line. */
export function nameOfUnknownClient({ oidc }: KoaContextWithOIDC, error: Error): string | undefined {
  const id = oidc.params?.['client_id'];
  if (!(error instanceof errors.InvalidClient) || oidc.client !== undefined || typeof id !== 'string') return undefined;
  return printable(id);
}

type Explanation = Pick<Words, 'title' | 'message' | 'hint'>;

function unknownClient(context: KoaContextWithOIDC, error: Error): Explanation | undefined {
  const name = nameOfUnknownClient(context, error);
  if (name === undefined) return undefined;
  return {
    title: 'This app is not registered here',
    message: `The request names the app “${name}”, which this server does not know.`,
    hint: 'Go back to the app. If you develop it, compare its client ID with the registered one.',
  };
}

/**
 * Explains an unregistered redirect URI to the person, who must not be sent there (RFC 6749 §3.1.2.4). The page does
 * not show the URI, because a stranger may have chosen it.
 */
function unknownAddress(error: Error): Explanation | undefined {
  if (!(error instanceof errors.InvalidRedirectUri)) return undefined;
  return {
    title: 'This app sent an invalid request',
    message: 'The app asks to return to an address that is not registered for it.',
    hint: 'Go back to the app. If you develop it, compare its redirect URI with the registered ones, character by character.',
  };
}

/**
 * Explains an error that was held back from an app. If the person declined access, they get a link and decide whether
 * to go on to the app (RFC 9700 §4.11.2).
 */
function heldBack({ oidc }: KoaContextWithOIDC, out: ErrorOut, error: Error): Words {
  const hint = 'This app has not been reviewed and has no access to your account, so you were not sent to it.';
  if (error instanceof errors.AccessDenied)
    return {
      title: 'You did not allow access',
      message: 'The app does not have access to your account.',
      hint,
      ...wayBack(oidc, out),
    };
  const message = sentence(out.error_description) ?? 'The request is not valid.';
  return { title: 'This app sent an invalid request', message, hint, code: out.error };
}

/** Returns a link with which a person who trusts the app can take the error there. */
function wayBack({ params, responseMode }: KoaContextWithOIDC['oidc'], out: ErrorOut): Pick<Words, 'link'> {
  const uri = params?.['redirect_uri'];
  const { host } = typeof uri === 'string' ? new URL(uri) : { host: '' };
  if (typeof uri !== 'string' || host === '' || !(responseMode === 'query' || responseMode === 'fragment')) return {};
  const given = Object.entries(out) as [string, string][];
  const url =
    responseMode === 'query'
      ? withParameters(uri, Object.fromEntries(given))
      : `${uri}#${new URLSearchParams(given).toString()}`;
  return { link: { url, label: `Continue to ${host}` } };
}

function sentence(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  // A parameter name such as `post_logout_redirect_uri` is not capitalized.
  const isName = /^[a-z]+_/.test(text);
  return `${isName ? text : text.charAt(0).toUpperCase() + text.slice(1)}.`;
}

/**
 * Returns the response for a failure in the engine: an outage of the store or the signer, too many pending requests, or
 * an unexpected error.
 */
export function wireErrorOf(error: Error): ProblemFace {
  if (error instanceof SignerUnavailable) return faces['cannot-sign'];
  if (error instanceof TooManyPending) return faces['too-many-waiting'];
  return error instanceof StoreUnavailable ? faces.unavailable : faces.unexpected;
}
