import type { Context } from 'koa';
import type { Account, NameProblem } from '../accounts/account.ts';
import { KNOWN_DEVICE_LIFE } from '../credentials/known-device.ts';
import { clientAddress, requestStart } from '../http/request-facts.ts';
import { deviceToken, rememberDevice } from '../http/browser-cookies.ts';
import { field } from '../http/request-body.ts';
import { epochSeconds } from '../lib/clock.ts';
import { passwordWords } from '../credentials/password-rules.ts';
import type { SignUpProblems } from '../credentials/sign-up.ts';
import type { PageData } from '../http/pages.ts';
import { goTo } from '../http/view.ts';
import { Problem } from '../http/problems.ts';
import { clientName, finish, showStep, type Interaction, type SubmittedInteraction } from './interaction.ts';
import { needsNoPassword } from './other-tab.ts';
import type { InteractionContext } from './interaction-context.ts';

/** Problem of the last attempt, and the values to keep in the form. */
interface SignInRetry {
  email?: string;
  remember?: boolean;
  error?: string;
  wait?: number;
  status?: number;
}

export async function showSignIn(
  dependencies: InteractionContext,
  context: Context,
  interaction: Interaction,
  retry: SignInRetry = {},
): Promise<void> {
  const { status = 200, ...shown } = retry;
  const email = shown.email ?? (await suggestedEmail(dependencies, interaction));
  const html = dependencies.views.render('sign-in', {
    remember: false,
    ...shown,
    ...(email === undefined ? {} : { email }),
    clientName: clientName(interaction.client),
    action: interaction.url('sign-in'),
    csrf: interaction.csrf(),
    cancelUrl: interaction.url('cancel'),
    ...(dependencies.signUp === undefined ? {} : { signUpUrl: interaction.url('sign-up') }),
  });
  showStep(context, interaction, html, status);
}

/** Returns the address to fill in: the app's `login_hint`, or the account that must reauthenticate. */
async function suggestedEmail(dependencies: InteractionContext, { details }: Interaction): Promise<string | undefined> {
  const hint = details.params['login_hint'];
  if (typeof hint === 'string') return hint;
  const choosesAnother = details.prompt.name === 'select_account';
  const id = choosesAnother ? undefined : details.session?.accountId;
  return id === undefined ? undefined : (await dependencies.accounts.find(id))?.email;
}

export async function submitSignIn(
  dependencies: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  const { form } = interaction;
  if (await needsNoPassword(dependencies, context, interaction)) return finish(dependencies, context, interaction, {});
  const email = field(form, 'email');
  const remember = form.get('remember') === 'yes';
  const address = clientAddress(context);
  const result = await dependencies.signIn({
    email,
    password: field(form, 'password'),
    address,
    deviceToken: deviceToken(context),
  });
  switch (result.outcome) {
    case 'signed-in':
      rememberDevice(context, result.deviceToken, KNOWN_DEVICE_LIFE);
      dependencies.announce({
        type: 'account.signed-in',
        account: result.account.id,
        client: interaction.client.clientId,
        address,
      });
      return finishSignedIn(dependencies, context, interaction, { account: result.account, remember });
    case 'refused':
      dependencies.announce({ type: 'sign-in.refused', address });
      return showSignIn(dependencies, context, interaction, {
        email,
        remember,
        error: 'Wrong email or password.',
        status: 401,
      });
    case 'wait':
      dependencies.announce({ type: 'sign-in.delayed', address, seconds: result.seconds });
      context.set('Retry-After', String(result.seconds));
      return showSignIn(dependencies, context, interaction, { email, remember, wait: result.seconds, status: 429 });
  }
}

/** Completes the step with the account, the authentication methods (RFC 8176) and the time. */
function finishSignedIn(
  dependencies: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
  { account, remember }: { account: Account; remember: boolean },
): Promise<void> {
  const ts = epochSeconds(dependencies.clock);
  const startedAt = requestStart(context);
  return finish(dependencies, context, interaction, {
    login: { accountId: account.id, remember, acr: 'aal1', amr: ['pwd'], ts, startedAt },
    select_account: {},
  });
}

/**
 * Asks for the account to continue with (`prompt=select_account`): the account of the browser's session, or another
 * one.
 */
export async function showAccounts(
  dependencies: InteractionContext,
  context: Context,
  interaction: Interaction,
): Promise<void> {
  const id = interaction.details.session?.accountId;
  const account = id === undefined ? undefined : await dependencies.accounts.find(id);
  if (account === undefined) return showSignIn(dependencies, context, interaction);
  const html = dependencies.views.render('choose-account', {
    clientName: clientName(interaction.client),
    accounts: [{ name: account.name, email: account.email, value: account.id }],
    action: interaction.url('account'),
    csrf: interaction.csrf(),
  });
  showStep(context, interaction, html);
}

export async function submitAccount(
  dependencies: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  const chosen = interaction.form.get('account');
  if (chosen !== undefined && chosen === interaction.details.session?.accountId) {
    return finish(dependencies, context, interaction, { select_account: {} });
  }
  goTo(context, interaction.url('sign-in'));
}

type SignUpRetry = Pick<PageData['sign-up'], 'name' | 'email' | 'errors' | 'wait'> & { status?: number };

export function showSignUp(
  dependencies: InteractionContext,
  context: Context,
  interaction: Interaction,
  { status = 200, ...retry }: SignUpRetry = {},
): void {
  if (dependencies.signUp === undefined) throw new Problem('not-found', 'sign-up is switched off');
  const html = dependencies.views.render('sign-up', {
    ...retry,
    clientName: clientName(interaction.client),
    minLength: dependencies.passwordMinLength,
    action: interaction.url('sign-up'),
    csrf: interaction.csrf(),
    signInUrl: interaction.url('sign-in'),
    cancelUrl: interaction.url('cancel'),
  });
  showStep(context, interaction, html, status);
}

export async function submitSignUp(
  dependencies: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  if (dependencies.signUp === undefined) throw new Problem('not-found', 'sign-up is switched off');
  const { form } = interaction;
  if (await needsNoPassword(dependencies, context, interaction)) return finish(dependencies, context, interaction, {});
  const address = clientAddress(context);
  const person = { name: field(form, 'name'), email: field(form, 'email') };
  const result = await dependencies.signUp({ ...person, password: field(form, 'password'), address });
  switch (result.outcome) {
    case 'signed-up':
      rememberDevice(context, result.deviceToken, KNOWN_DEVICE_LIFE);
      dependencies.announce({ type: 'account.signed-up', account: result.account.id, address });
      return finishSignedIn(dependencies, context, interaction, { account: result.account, remember: false });
    case 'problems':
      showSignUp(dependencies, context, interaction, {
        ...person,
        errors: inWords(result.problems, dependencies.passwordMinLength),
        status: 422,
      });
      return;
    case 'wait':
      context.set('Retry-After', String(result.seconds));
      showSignUp(dependencies, context, interaction, {
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
