import { interactionPolicy } from 'oidc-provider';
import { deviceConfirmation, deviceSignInAsked, deviceUnconfirmed } from './device-confirmation.ts';
import { loadHint, refuseIfSignedIn } from './requests/authentication-demands.ts';

const { base, Check, Prompt } = interactionPolicy;

/** The engine's checks of what a request demands of a sign-in, by what they look at. */
const DEMANDS = {
  id_token_hint: 'person',
  claims_id_token_sub_value: 'person',
  essential_acr: 'acr',
  essential_acrs: 'acr',
} as const;

/**
 * The engine's prompts, and before them the choice of an account (`prompt=select_account`, OpenID Connect Core
 * §3.1.2.1). The engine takes a session for signed in without looking whether its account may still be used.
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

/** Whoever has signed in and is still not what the request demands is not asked again: the app gets an error. */
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
