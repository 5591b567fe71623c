import type { Context } from 'koa';
import type { ChangePassword, PasswordChangeResult } from '../credentials/change-password.ts';
import { KNOWN_DEVICE_LIFE } from '../credentials/known-device.ts';
import { passwordWords } from '../credentials/password-words.ts';
import type { Announce } from '../events/events.ts';
import { clientAddress } from '../http/client-address.ts';
import { deviceToken, rememberDevice } from '../http/device-cookie.ts';
import { field } from '../http/form.ts';
import type { PageData } from '../http/pages.ts';
import type { AccountId } from '../lib/ids.ts';
import { route, type Route } from '../http/route.ts';
import type { Views } from '../http/view.ts';
import { ownForm, ownPage, type Doors } from './own-page.ts';
import { showPage } from './show-page.ts';
import type { SignedIn } from './signed-in.ts';

export interface PasswordPageParts extends Doors {
  views: Views;
  changePassword: ChangePassword;
  passwordMinLength: number;
  announce: Announce;
  /** Ends whatever was signed in by the old password, but this session. */
  endOthers: (account: AccountId, session: string) => Promise<void>;
}

type Retry = Pick<PageData['change-password'], 'errors' | 'wait'>;

const PATH = '/password';

/** Where a person changes their password. */
export function passwordRoutes(parts: PasswordPageParts): Route[] {
  return [
    ownPage(parts, PATH, (context, person) => {
      show(parts, context, person);
    }),
    route('POST', PATH, ownForm(parts), async (context, { form, ...person }) => {
      const [next, again] = [field(form, 'next'), field(form, 'again')];
      if (next !== again) {
        show(parts, context, person, { errors: { again: 'This is not the same as above.' } }, 422);
        return;
      }
      const { account } = person;
      const address = clientAddress(context);
      const change = { account, current: field(form, 'current'), next, address, deviceToken: deviceToken(context) };
      await answer(parts, context, person, await parts.changePassword(change));
    }),
  ];
}

function show(parts: PasswordPageParts, context: Context, person: SignedIn, retry: Retry = {}, status = 200): void {
  const html = parts.views.render('change-password', {
    ...retry,
    action: PATH,
    csrf: parts.csrf.token(person.binding),
    email: person.account.email,
    minLength: parts.passwordMinLength,
  });
  showPage(context, html, status);
}

async function answer(
  parts: PasswordPageParts,
  context: Context,
  person: SignedIn,
  result: PasswordChangeResult,
): Promise<void> {
  const address = clientAddress(context);
  switch (result.outcome) {
    case 'changed':
      await parts.endOthers(person.account.id, person.session.uid);
      parts.announce({ type: 'password.changed', account: person.account.id, address });
      rememberDevice(context, result.deviceToken, KNOWN_DEVICE_LIFE);
      showPage(context, parts.views.render('password-changed', { email: person.account.email }));
      return;
    case 'problem':
      show(parts, context, person, { errors: { next: inWords(result.problem, parts.passwordMinLength) } }, 422);
      return;
    case 'refused':
      parts.announce({ type: 'sign-in.refused', address });
      show(parts, context, person, { errors: { current: 'This is not your present password.' } }, 401);
      return;
    case 'wait':
      parts.announce({ type: 'sign-in.delayed', address, seconds: result.seconds });
      context.set('Retry-After', String(result.seconds));
      show(parts, context, person, { wait: result.seconds }, 429);
  }
}

function inWords(problem: keyof ReturnType<typeof passwordWords> | 'same', minLength: number): string {
  return problem === 'same' ? 'This is your present password. Choose another.' : passwordWords(minLength)[problem];
}
