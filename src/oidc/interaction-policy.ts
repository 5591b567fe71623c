import { interactionPolicy } from 'oidc-provider';

const { base, Check, Prompt } = interactionPolicy;

/**
 * The engine's prompts, and before them the choice of an account (`prompt=select_account`, OpenID Connect Core
 * §3.1.2.1). The engine takes a session for signed in without looking whether its account may still be used.
 */
export function promptPolicy(): interactionPolicy.DefaultPolicy {
  const policy = base();
  policy.add(new Prompt({ name: 'select_account', requestable: true }), 0);
  policy
    .get('login')
    ?.checks.add(
      new Check(
        'no_account',
        'End-User authentication is required',
        'login_required',
        ({ oidc }) => oidc.session?.accountId !== undefined && oidc.account === undefined,
      ),
    );
  return policy;
}
