import type { Context } from 'koa';
import { clientName, finish, showPage, type Interaction, type SubmittedInteraction } from './interaction.ts';
import type { InteractionContext } from './interaction-context.ts';
import { showSignIn } from './sign-in-page.ts';

/** Asks for the account to continue with (`prompt=select_account`): the browser's only session, or another account. */
export async function showAccounts(
  parts: InteractionContext,
  context: Context,
  interaction: Interaction,
): Promise<void> {
  const id = interaction.details.session?.accountId;
  const account = id === undefined ? undefined : await parts.accounts.find(id);
  if (account === undefined) return showSignIn(parts, context, interaction);
  const html = parts.views.render('choose-account', {
    clientName: clientName(interaction.client),
    accounts: [{ name: account.name, email: account.email, value: account.id }],
    action: interaction.url('account'),
    csrf: interaction.csrf(),
  });
  showPage(context, html);
}

export async function submitAccount(
  parts: InteractionContext,
  context: Context,
  interaction: SubmittedInteraction,
): Promise<void> {
  const chosen = interaction.form.get('account');
  if (chosen !== undefined && chosen === interaction.details.session?.accountId) {
    return finish(parts, context, interaction, { select_account: {} });
  }
  context.status = 303;
  context.redirect(interaction.url('sign-in'));
}
