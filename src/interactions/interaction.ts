import type { Client, InteractionResults } from 'oidc-provider';
import type { Context } from 'koa';
import { formDigest } from '../forms/answered-forms.ts';
import { goTo, showPage } from '../http/view.ts';
import { formTarget } from '../http/response-headers.ts';
import { clientAddress } from '../http/request-facts.ts';
import { deviceToken } from '../http/browser-cookies.ts';
import { readForm, type Form } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import type { Guard } from '../http/route.ts';
import type { FoundInteraction, InteractionDetails } from '../oidc/storage/interactions.ts';
import { pageAfterEnd, signedInElsewhere } from './other-tab.ts';
import type { InteractionContext } from './interaction-context.ts';

/** A pending authorization request in this browser. */
export interface Interaction {
  readonly found: FoundInteraction;
  readonly details: InteractionDetails;
  readonly client: Client;
  /** The addresses to which the engine may redirect after a form of this interaction. */
  readonly formTargets: readonly string[];
  /** Returns a CSRF token for a form on this interaction's page. */
  csrf(): string;
  /** Returns the address of one of this interaction's pages. */
  url(page: string): string;
}

/** A form that this browser submitted, and that an interaction's page had shown to it. */
interface SentStep {
  readonly uid: string;
  readonly form: Form;
  /** Digest of the form's token and fields. */
  readonly digest: string;
}

export type SubmittedInteraction = Interaction & Omit<SentStep, 'uid'>;

type GuardDependencies = Pick<InteractionContext, 'provider' | 'interactions' | 'accounts' | 'csrf'>;

/** A redirect in place of a page. */
interface RedirectInstead {
  readonly leadsTo: string;
}

/**
 * Admits the browser that began the interaction. Redirects if another tab has signed the person in, or if the
 * interaction is over.
 */
export function interactionGuard(dependencies: GuardDependencies): Guard<Interaction | RedirectInstead> {
  return async (context) => {
    const uid = uidOf(context);
    const found = await dependencies.interactions.find(context, uid);
    if (found !== undefined && !found.isOver) {
      const isSignedIn = (await signedInElsewhere(dependencies, context, found.details)) !== undefined;
      return isSignedIn ? { leadsTo: found.returnTo } : open(dependencies, context, found);
    }
    const page = await pageAfterEnd(dependencies, context, uid);
    if (page === undefined)
      throw new Problem('interaction-gone', 'the interaction is over, or belongs to another browser');
    return { leadsTo: page };
  };
}

/** Accepts only a form that this browser got for this interaction. */
export function sentStepGuard({ csrf, interactions }: GuardDependencies): Guard<SentStep> {
  return async (context) => {
    const [uid, form] = [uidOf(context), await readForm(context)];
    const token = form.get('csrf') ?? '';
    if (csrf.verify(context, uid, token)) return { uid, form, digest: formDigest({ token, fields: form }) };
    const reason = 'the server did not show this form to this browser';
    if ((await interactions.find(context, uid)) === undefined) throw new Problem('interaction-gone', reason);
    throw new Problem('form-expired', reason, {}, { url: `/interaction/${uid}`, label: 'Open the page again' });
  };
}

/** Accepts a sign-in form only if the caller may try a password now. Refuses a flood before it reads the forms. */
export function passwordGuard(
  dependencies: GuardDependencies & Pick<InteractionContext, 'admitAttempt'>,
): Guard<SentStep> {
  const sent = sentStepGuard(dependencies);
  return (context) => {
    const wait = dependencies.admitAttempt({ address: clientAddress(context), deviceToken: deviceToken(context) });
    if (wait > 0) throw new Problem('too-many-guesses', 'the address block must wait', { 'Retry-After': String(wait) });
    return sent(context);
  };
}

/** Accepts a cancel link, which has no form fields, from the browser that began the interaction. */
export function cancelGuard({ interactions }: GuardDependencies): Guard<SentStep> {
  return async (context) => {
    const uid = uidOf(context);
    // Anybody can invent an interaction's id, and each step writes to the store.
    if ((await interactions.find(context, uid)) === undefined)
      throw new Problem('interaction-gone', 'the interaction has expired, or another browser began it');
    return { uid, form: new Map(), digest: 'cancel' };
  };
}

/**
 * Runs one step of an interaction at a time, and handles each form once. At a second click the browser drops the first
 * answer, so the second click gets the same redirect.
 */
export function takeStep(
  dependencies: GuardDependencies,
  context: Context,
  { uid, form, digest }: SentStep,
  submit: (interaction: SubmittedInteraction) => Promise<void>,
): Promise<void> {
  return dependencies.interactions.alone(uid, async () => {
    const found = await dependencies.interactions.find(context, uid);
    if (found?.form === digest) {
      goTo(context, found.returnTo);
      return;
    }
    if (found === undefined || found.isOver) {
      const page = await pageAfterEnd(dependencies, context, uid);
      if (page === undefined)
        throw new Problem('interaction-gone', 'the interaction has expired, or another form finished it');
      goTo(context, page);
      return;
    }
    await submit({ ...(await open(dependencies, context, found)), form, digest });
  });
}

/** Returns the redirect URI of the request; undefined if a device waits for the answer (RFC 8628). */
export function redirectUriOf({ params }: Pick<InteractionDetails, 'params'>): string | undefined {
  const uri = params['redirect_uri'];
  return typeof uri === 'string' ? uri : undefined;
}

function uidOf({ path }: Context): string {
  return path.split('/')[2] ?? '';
}

async function open(
  { provider, csrf }: GuardDependencies,
  context: Context,
  found: FoundInteraction,
): Promise<Interaction> {
  const { details } = found;
  await refuseChangedSession({ provider }, details);
  const client = await provider.Client.find(String(details.params['client_id']));
  if (client === undefined) throw new Problem('interaction-gone', 'the client of the interaction no longer exists');
  const redirectUri = redirectUriOf(details);
  const { uid } = details;
  return {
    found,
    details,
    client,
    formTargets: redirectUri === undefined ? [] : [formTarget(redirectUri)],
    csrf: () => csrf.token(context, uid),
    url: (page) => `/interaction/${uid}/${page}`,
  };
}

/** Refuses an answer if the session has changed since the server asked. */
async function refuseChangedSession(
  { provider }: Pick<GuardDependencies, 'provider'>,
  { session: asked }: InteractionDetails,
) {
  if (asked?.uid === undefined) return;
  const session = await provider.Session.findByUid(asked.uid);
  if (session?.accountId !== asked.accountId) throw new Problem('interaction-gone', 'the session has ended');
}

/** Returns a step's result to the engine, which alone decides what follows. */
export async function finish(
  { interactions }: GuardDependencies,
  context: Context,
  { found, digest }: SubmittedInteraction,
  result: InteractionResults,
): Promise<void> {
  const isFirst = await interactions.finish(found, result, digest);
  if (!isFirst) throw new Problem('interaction-gone', 'the interaction was finished meanwhile');
  goTo(context, found.returnTo);
}

export function showStep(context: Context, { formTargets }: Interaction, html: string, status?: number): void {
  showPage(context, html, { formTargets, ...(status !== undefined && { status }) });
}

/** Returns the name by which people know the client. */
export function clientName(client: Client): string {
  return client.clientName ?? client.clientId;
}
