import type { Context } from 'koa';
import type { NameProblem } from '../accounts/accounts.ts';
import { KNOWN_DEVICE_LIFE } from '../credentials/known-device.ts';
import { passwordWords } from '../credentials/password-rules.ts';
import type { SignUpProblems } from '../credentials/sign-up.ts';
import { clientAddress } from '../http/request-facts.ts';
import { rememberDevice } from '../http/browser-cookies.ts';
import { field } from '../http/request-body.ts';
import type { PageData } from '../http/pages.ts';
import { Problem } from '../http/problems.ts';
import { clientName, finish, showPage, type Interaction, type SubmittedInteraction } from './interaction.ts';
import { needsNoPassword } from './other-tab.ts';
import type { InteractionContext } from './interaction-context.ts';
import { finishSignedIn } from './sign-in-page.ts';

type Retry = Pick<PageData['sign-up'], 'name' | 'email' | 'errors' | 'wait'> & { status?: number };

export function showSignUp(
  parts: InteractionContext,
  context: Context,
  interaction: Interaction,
  { status = 200, ...retry }: Retry = {},
): void {
  if (parts.signUp === undefined) throw new Problem('not-found', 'sign-up is switched off');
  const html = parts.views.render('sign-up', {
    ...retry,
    clientName: clientName(interaction.client),
    minLength: parts.passwordMinLength,
    action: interaction.url('sign-up'),
    csrf: interaction.csrf(),
    signInUrl: interaction.url('sign-in'),
    cancelUrl: interaction.url('cancel'),
  });
  showPage(context, html, status);
}

export async function submitSignUp(
  parts: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  if (parts.signUp === undefined) throw new Problem('not-found', 'sign-up is switched off');
  const { form } = interaction;
  if (await needsNoPassword(parts, context, interaction)) return finish(parts, context, interaction, {});
  const address = clientAddress(context);
  const person = { name: field(form, 'name'), email: field(form, 'email') };
  const result = await parts.signUp({ ...person, password: field(form, 'password'), address });
  switch (result.outcome) {
    case 'signed-up':
      rememberDevice(context, result.deviceToken, KNOWN_DEVICE_LIFE);
      parts.announce({ type: 'account.signed-up', account: result.account.id, address });
      return finishSignedIn(parts, context, interaction, { account: result.account, remember: false });
    case 'problems':
      showSignUp(parts, context, interaction, {
        ...person,
        errors: inWords(result.problems, parts.passwordMinLength),
        status: 422,
      });
      return;
    case 'wait':
      context.set('Retry-After', String(result.seconds));
      showSignUp(parts, context, interaction, {
        ...person,
        errors: { form: 'Too many attempts to create an account from your network.' },
        wait: result.seconds,
        status: 429,
      });
  }
}

function inWords(problems: SignUpProblems, minLength: number): NonNullable<PageData['sign-up']['errors']> {
  return {
    ...(problems.name === undefined ? {} : { name: nameWords[problems.name] }),
    ...(problems.email === undefined ? {} : { email: emailWords[problems.email] }),
    ...(problems.password === undefined ? {} : { password: passwordWords(minLength)[problems.password] }),
  };
}

const nameWords: Record<NameProblem, string> = {
  empty: 'Enter your name.',
  'too-long': 'Enter a shorter name, at most 100 characters.',
  'forbidden-character': 'Enter your name without control characters.',
};

const emailWords: Record<NonNullable<SignUpProblems['email']>, string> = {
  'not-an-address': 'Enter an email address, such as name@example.com.',
  'email-taken': 'This address already has an account. Sign in instead.',
};
