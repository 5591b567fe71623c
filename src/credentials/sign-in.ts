import type { Account } from '../accounts/accounts.ts';
import { openPasswordCheck, type PasswordCheckParts, type PasswordShown } from './password-check.ts';

export type SignInResult =
  | { outcome: 'signed-in'; account: Account; deviceToken: string }
  | { outcome: 'refused' }
  | { outcome: 'wait'; seconds: number };

/** @throws TooBusy, StoreUnavailable */
export type SignIn = (shown: PasswordShown) => Promise<SignInResult>;

/** Signs people in by password. */
export function openSignIn(parts: PasswordCheckParts): SignIn {
  const check = openPasswordCheck(parts);
  return async (shown) => {
    const checked = await check(shown);
    if (checked.outcome !== 'right') return checked;
    await checked.settle();
    const { account, deviceToken } = checked;
    return { outcome: 'signed-in', account, deviceToken };
  };
}
