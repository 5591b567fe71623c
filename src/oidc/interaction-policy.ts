import { interactionPolicy } from 'oidc-provider';
import { deviceConfirmation, deviceSignInAsked, deviceUnconfirmed } from './device/confirmation.ts';
import { loadHint, refuseIfSignedIn } from './requests/authentication-demands.ts';

const { base, Check, Prompt } = interactionPolicy;

/**
 * Names of the engine's checks that compare a sign-in with the request, and the kind of demand that each check is for.
 */
const DEMANDS = {
  id_token_hint: 'person',
  claims_id_token_sub_value: 'person',
  essential_acr: 'acr',
  essential_acrs: 'acr',
} as const;

/**
 * Builds the engine's prompts, with account selection in front (`prompt=select_account`, OpenID Connect Core §3.1.2.1).
 * A check is added because the engine would accept a session whose account may no longer be used.
 */
export function promptPolicy(dependencies: Parameters<typeof deviceConfirmation>[0]): interactionPolicy.DefaultPolicy {
  const policy = base();
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);
  const login = policy.get('login');
  const consent = policy.get('consent');
  if (login === undefined || consent === undefined)
    throw new Error('the engine has no prompt for a sign-in or consent');
  login.checks.add(
    new Check(
      'no_account',
      'End-User authentication is required',
      'login_required',
      ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
    ),
  );
  login.checks.add(deviceSignInAsked);
  for (const [reason, demand] of Object.entries(DEMANDS)) askOnce(login, reason, demand);
  consent.checks.add(deviceUnconfirmed);
  policy.add(deviceConfirmation(dependencies), policy.indexOf(consent));
  return policy;
}

/**
 * If a person has just signed in and still does not meet the demand, the app gets an error instead of another prompt.
 */
function askOnce({ checks }: interactionPolicy.Prompt, reason: string, demand: 'acr' | 'person'): void {
  const check = checks.get(reason);
  if (check === undefined) throw new Error(`the engine no longer checks ${reason}`);
  const isUnmet = check.check;
  check.check = async (context) => {
    if (reason === 'id_token_hint') await loadHint(context);
    const result = await isUnmet(context);
    if (result) refuseIfSignedIn(context, demand);
    return result;
  };
}
