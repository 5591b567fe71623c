import type { Client, Interaction as EngineInteraction, Provider } from 'oidc-provider';
import { errors } from 'oidc-provider';
import type { Context } from 'koa';
import { contentSecurityPolicy, formTarget } from '../http/content-security-policy.ts';
import type { Csrf } from '../http/csrf.ts';
import { readForm, type Form } from '../http/form.ts';
import { Problem } from '../http/problems.ts';
import type { Guard } from '../http/route.ts';

/** An authorization request that waits for its person, as this request's browser holds it. */
export interface Interaction {
  readonly details: EngineInteraction;
  readonly client: Client;
  readonly csrf: string;
  /** The address of one of this interaction's pages. */
  url(page: string): string;
}

export interface SubmittedInteraction extends Interaction {
  readonly form: Form;
}

/** Lets in the browser that began the interaction: the one whose signed cookie names it. */
export function interactionGuard(provider: Provider, csrf: Csrf): Guard<Interaction> {
  return async (context) => {
    const details = await findInteraction(provider, context);
    const client = await provider.Client.find(String(details.params['client_id']));
    if (client === undefined) throw new Problem('interaction-gone', 'the client of the interaction is no more');
    const redirectUri = redirectUriOf(details);
    const targets = redirectUri === undefined ? [] : [formTarget(redirectUri)];
    context.set('Content-Security-Policy', contentSecurityPolicy(targets));
    context.set('Cache-Control', 'no-store');
    const url = (page: string): string => `/interaction/${details.uid}/${page}`;
    return { details, client, csrf: csrf.token(details.uid), url };
  };
}

/** The same for a form, which must come from a page that we showed to this browser. */
export function submittedInteractionGuard(provider: Provider, csrf: Csrf): Guard<SubmittedInteraction> {
  const guard = interactionGuard(provider, csrf);
  return async (context) => {
    const interaction = await guard(context);
    const form = await readForm(context);
    if (!csrf.verify(interaction.details.uid, form.get('csrf'))) {
      throw new Problem('form-expired', 'the CSRF token is missing or wrong');
    }
    return { ...interaction, form };
  };
}

/** Where the answer goes; nowhere in this browser when a device waits for it (RFC 8628). */
export function redirectUriOf({ params }: EngineInteraction): string | undefined {
  const uri = params['redirect_uri'];
  return typeof uri === 'string' ? uri : undefined;
}

async function findInteraction(provider: Provider, context: Context): Promise<EngineInteraction> {
  try {
    const details = await provider.interactionDetails(context.req, context.res);
    // The engine reads the cookie alone; the address must name the same interaction.
    if (context.path.split('/')[2] === details.uid) return details;
    throw new Problem('interaction-gone', 'the address names another interaction than the cookie');
  } catch (error) {
    if (error instanceof errors.SessionNotFound) throw new Problem('interaction-gone', error.error_description ?? '');
    throw error;
  }
}

/** Hands what a step found back to the engine, which alone decides what comes next. */
export async function finish(
  provider: Provider,
  context: Context,
  result: Parameters<Provider['interactionResult']>[2],
): Promise<void> {
  const returnTo = await provider.interactionResult(context.req, context.res, result);
  context.status = 303;
  context.redirect(returnTo);
}

export function showPage(context: Context, html: string, status = 200): void {
  context.status = status;
  context.type = 'html';
  context.body = html;
}

/** The name that people know the client by. */
export function clientName(client: Client): string {
  return client.clientName ?? client.clientId;
}
