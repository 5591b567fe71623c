import type { Context } from 'koa';
import { goTo } from '../http/view.ts';
import { Problem } from '../http/problems.ts';
import { route, type Route } from '../http/route.ts';
import { showAccounts, submitAccount, showSignIn, submitSignIn, showSignUp, submitSignUp } from './sign-in-page.ts';
import { showConsent, submitConsent } from './consent-page.ts';
import {
  cancelGuard,
  finish,
  interactionGuard,
  passwordGuard,
  sentStepGuard,
  takeStep,
  type Interaction,
  type SubmittedInteraction,
} from './interaction.ts';
import type { InteractionContext } from './interaction-context.ts';

/** The prompts that a sign-in answers. */
const SIGN_IN = ['login', 'select_account'];

/**
 * Routes of the pages between an authorization request and its response. No page leads to another: each returns to the
 * engine.
 */
export function interactionRoutes(dependencies: InteractionContext): Route[] {
  const seen = interactionGuard(dependencies);
  const sent = sentStepGuard(dependencies);
  const page = (
    path: string,
    prompts: readonly string[],
    show: (dependencies: InteractionContext, context: Context, interaction: Interaction) => Promise<void> | void,
  ): Route =>
    route('GET', ['/interaction/:uid', path].filter(Boolean).join('/'), seen, (context, interaction) => {
      if ('leadsTo' in interaction) {
        goTo(context, interaction.leadsTo);
        return;
      }
      expectPrompt(interaction, prompts);
      return show(dependencies, context, interaction);
    });
  const form = (
    path: string,
    prompts: readonly string[],
    submit: (dependencies: InteractionContext, context: Context, interaction: SubmittedInteraction) => Promise<void>,
    guard = sent,
  ): Route =>
    route('POST', `/interaction/:uid/${path}`, guard, (context, step) =>
      takeStep(dependencies, context, step, (interaction) => {
        expectPrompt(interaction, prompts);
        return submit(dependencies, context, interaction);
      }),
    );
  return [
    page('', ['login', 'select_account', 'consent'], show),
    route('GET', '/interaction/:uid/cancel', cancelGuard(dependencies), (context, step) =>
      takeStep(dependencies, context, step, (interaction) => cancel(dependencies, context, interaction)),
    ),
    page('sign-in', SIGN_IN, showSignIn),
    form('sign-in', SIGN_IN, submitSignIn, passwordGuard(dependencies)),
    page('sign-up', SIGN_IN, showSignUp),
    form('sign-up', SIGN_IN, submitSignUp),
    form('account', ['select_account'], submitAccount),
    form('consent', ['consent'], submitConsent),
  ];
}

function show(dependencies: InteractionContext, context: Context, interaction: Interaction): Promise<void> {
  switch (interaction.details.prompt.name) {
    case 'login':
      return showSignIn(dependencies, context, interaction);
    case 'select_account':
      return showAccounts(dependencies, context, interaction);
    case 'consent':
      return showConsent(dependencies, context, interaction);
    default:
      throw new Problem('unexpected', `the prompt "${interaction.details.prompt.name}" has no page`);
  }
}

/** Refuses a page or form that does not belong to the current prompt. Nobody can consent on the sign-in page. */
function expectPrompt({ details }: Interaction, names: readonly string[]): void {
  if (names.includes(details.prompt.name)) return;
  throw new Problem('interaction-gone', `the form is for ${names.join(' or ')}, the prompt is ${details.prompt.name}`);
}

function cancel(dependencies: InteractionContext, context: Context, interaction: SubmittedInteraction): Promise<void> {
  return finish(dependencies, context, interaction, {
    error: 'access_denied',
    error_description: 'the person went back to the app',
  });
}
