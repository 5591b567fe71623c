import type { Context } from 'koa';
import { Problem } from '../http/problems.ts';
import { route, type Route } from '../http/route.ts';
import { showAccounts, submitAccount } from './account-page.ts';
import { showConsent, submitConsent } from './consent-page.ts';
import { finish, interactionGuard, submittedInteractionGuard, type Interaction } from './interaction.ts';
import type { InteractionParts } from './parts.ts';
import { showSignIn, submitSignIn } from './sign-in-page.ts';
import { showSignUp, submitSignUp } from './sign-up-page.ts';

/** The pages between an authorization request and its answer. No page leads to another: each goes back to the engine. */
export function interactionRoutes(parts: InteractionParts): Route[] {
  const seen = interactionGuard(parts.provider, parts.csrf);
  const submitted = submittedInteractionGuard(parts.provider, parts.csrf);
  const signsIn = (interaction: Interaction): void => {
    expectPrompt(interaction, 'login', 'select_account');
  };
  return [
    route('GET', '/interaction/:uid', seen, (context, interaction) => show(parts, context, interaction)),
    route('GET', '/interaction/:uid/cancel', seen, (context) => cancel(parts, context)),
    route('GET', '/interaction/:uid/sign-in', seen, (context, interaction) => {
      signsIn(interaction);
      return showSignIn(parts, context, interaction);
    }),
    route('POST', '/interaction/:uid/sign-in', submitted, (context, interaction) => {
      signsIn(interaction);
      return submitSignIn(parts, context, interaction);
    }),
    route('GET', '/interaction/:uid/sign-up', seen, (context, interaction) => {
      signsIn(interaction);
      showSignUp(parts, context, interaction);
    }),
    route('POST', '/interaction/:uid/sign-up', submitted, (context, interaction) => {
      signsIn(interaction);
      return submitSignUp(parts, context, interaction);
    }),
    route('POST', '/interaction/:uid/account', submitted, (context, interaction) => {
      expectPrompt(interaction, 'select_account');
      return submitAccount(parts, context, interaction);
    }),
    route('POST', '/interaction/:uid/consent', submitted, (context, interaction) => {
      expectPrompt(interaction, 'consent');
      return submitConsent(parts, context, interaction);
    }),
  ];
}

function show(parts: InteractionParts, context: Context, interaction: Interaction): Promise<void> {
  switch (interaction.details.prompt.name) {
    case 'login':
      return showSignIn(parts, context, interaction);
    case 'select_account':
      return showAccounts(parts, context, interaction);
    case 'consent':
      return showConsent(parts, context, interaction);
    default:
      throw new Problem('unexpected', `the prompt "${interaction.details.prompt.name}" has no page`);
  }
}

/** A form answers the question that was put, and no other: nobody consents on the sign-in page. */
function expectPrompt({ details }: Interaction, ...names: readonly string[]): void {
  if (names.includes(details.prompt.name)) return;
  throw new Problem('interaction-gone', `the form answers ${names.join(' or ')}, the prompt is ${details.prompt.name}`);
}

function cancel(parts: InteractionParts, context: Context): Promise<void> {
  return finish(parts.provider, context, {
    error: 'access_denied',
    error_description: 'the person went back to the app',
  });
}
