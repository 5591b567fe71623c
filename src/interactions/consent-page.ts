import type { Context } from 'koa';
import type { AuthorizationDetail, Grant } from 'oidc-provider';
import { mergeConsents, type Consent, scopesInWords } from '../accounts/consents.ts';
import { field } from '../http/request-body.ts';
import { Problem } from '../http/problems.ts';
import { claimsAsked } from '../oidc/requests/claims-parameter.ts';
import { appInWords } from '../oidc/clients/app-description.ts';
import { grantConsented } from '../oidc/existing-grant.ts';
import { standardScopes } from '../config/sections/claims-schema.ts';
import type { DetailField, DetailType } from '../config/sections/detail-schema.ts';
import type { PageData } from '../http/pages.ts';
import { showHiddenCharacters } from '../lib/hidden-characters.ts';
import { finish, redirectUriOf, showStep, type Interaction, type SubmittedInteraction } from './interaction.ts';
import type { InteractionContext } from './interaction-context.ts';

export async function showConsent(
  dependencies: InteractionContext,
  context: Context,
  interaction: Interaction,
): Promise<void> {
  const { client, details } = interaction;
  const account = await dependencies.accounts.find(accountIdOf(interaction));
  if (account === undefined) throw new Problem('interaction-gone', 'the account no longer exists');
  const asked = requestedAccess(interaction, await knownGrant(dependencies, interaction));
  const redirectUri = redirectUriOf(details);
  const html = dependencies.views.render('consent', {
    ...appInWords(client, redirectUri),
    account,
    scopes: scopesInWords(asked, dependencies.resources),
    details: detailsInWords(detailsAsked(interaction), dependencies.detailTypes),
    offline: asked.scopes.includes('offline_access'),
    ...(redirectUri === undefined ? { onDevice: true } : { redirectHost: new URL(redirectUri).host }),
    action: interaction.url('consent'),
    csrf: interaction.csrf(),
  });
  showStep(context, interaction, html);
}

export async function submitConsent(
  dependencies: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  const { client, form } = interaction;
  const account = accountIdOf(interaction);
  const said = { account, client: client.clientId };
  if (field(form, 'decision') !== 'allow') {
    dependencies.announce({ type: 'consent.denied', ...said });
    return finish(dependencies, context, interaction, {
      error: 'access_denied',
      error_description: 'the person did not allow it',
    });
  }
  const { Grant } = dependencies.provider;
  const known = await knownGrant(dependencies, interaction);
  const asked = requestedAccess(interaction, known);
  const grant = grantConsented(known ?? new Grant({ accountId: account, clientId: client.clientId }), asked);
  const grantId = await grant.save();
  const before = await dependencies.consents.find(account, client.clientId);
  await dependencies.consents.remember(account, client.clientId, mergeConsents(before, asked));
  dependencies.announce({ type: 'consent.given', ...said });
  return finish(dependencies, context, interaction, { consent: { grantId } });
}

function accountIdOf({ details }: Interaction): string {
  const id = details.session?.accountId;
  if (id === undefined) throw new Problem('interaction-gone', 'nobody is signed in');
  return id;
}

async function knownGrant({ provider }: InteractionContext, { details }: Interaction): Promise<Grant | undefined> {
  return details.grantId === undefined ? undefined : provider.Grant.find(details.grantId);
}

/** Returns the access that the engine found missing, or all of it if `prompt=consent` repeats the question. */
function requestedAccess({ details }: Interaction, known: Grant | undefined): Consent {
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = details.prompt.details as {
    missingOIDCScope?: string[];
    missingOIDCClaims?: string[];
    missingResourceScopes?: Record<string, string[]>;
  };
  if ((missingOIDCScope ?? missingOIDCClaims ?? missingResourceScopes) !== undefined) {
    return { scopes: missingOIDCScope ?? [], claims: missingOIDCClaims ?? [], resources: missingResourceScopes ?? {} };
  }
  const { scope, resource } = details.params;
  const requested = typeof scope === 'string' ? scope.split(' ') : [];
  const resources = [resource].flat().filter((identifier) => typeof identifier === 'string');
  const granted = resources.map((identifier) => [identifier, known?.getResourceScopeFiltered(identifier, requested)]);
  return {
    scopes: requested.filter((name) => Object.hasOwn(standardScopes, name)),
    claims: claimsAsked(details.params['claims']),
    resources: Object.fromEntries(
      granted.map(([identifier = '', scopes = '']) => [identifier, scopes.split(' ').filter(Boolean)]),
    ),
  };
}

/**
 * Returns the requested authorization details. The server asks about them each time, because consent to one payment
 * does not allow the next.
 */
function detailsAsked({ details }: Interaction): readonly AuthorizationDetail[] {
  return (details.prompt.details['rar'] as AuthorizationDetail[] | undefined) ?? [];
}

type Detail = NonNullable<PageData['consent']['details']>[number];
type Fact = Detail['facts'][number];

/** Describes requested authorization details (RFC 9396) completely, so that the person knows all that they allow. */
function detailsInWords(details: readonly AuthorizationDetail[], types: readonly DetailType[]): Detail[] {
  return details.map(({ type: name, ...members }) => {
    const type = types.find((one) => one.type === name);
    return { description: type?.description ?? name, facts: factsOf(members, type?.fields ?? {}) };
  });
}

function factsOf(members: Record<string, unknown>, fields: Readonly<Record<string, DetailField>>): Fact[] {
  return Object.entries(members).flatMap(([name, value]) => {
    const field = fields[name];
    const label = field?.label ?? name;
    if (typeof value !== 'object' || value === null) return [{ label, value: text(value) }];
    if (Array.isArray(value)) return [{ label, value: value.map(text).join(', ') }];
    return factsOf(value as Record<string, unknown>, field?.fields ?? {}).map((fact) => ({
      ...fact,
      label: `${label}: ${fact.label}`,
    }));
  });
}

function text(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return showHiddenCharacters(typeof value === 'string' ? value : JSON.stringify(value));
}
