import type { Context } from 'koa';
import type { ChangePassword, PasswordChangeResult } from '../credentials/change-password.ts';
import { KNOWN_DEVICE_LIFE } from '../credentials/known-device.ts';
import { passwordWords } from '../credentials/password-rules.ts';
import type { Announce } from '../events/events.ts';
import { clientAddress } from '../http/request-facts.ts';
import { deviceToken, rememberDevice } from '../http/browser-cookies.ts';
import { field } from '../http/request-body.ts';
import type { PageData } from '../http/pages.ts';
import type { AccountId } from '../lib/ids.ts';
import { route, type Route } from '../http/route.ts';
import { type Views, showPage } from '../http/view.ts';
import { ownForm, ownPage, sentForm, type PageDependencies, type SignedIn } from './own-page.ts';

interface PasswordPageDependencies extends PageDependencies {
  views: Views;
  changePassword: ChangePassword;
  passwordMinLength: number;
  announce: Announce;
  /** Stores the new password, and ends every session and grant of the old one except this session. */
  replacePassword: (account: AccountId, change: { store: () => Promise<void>; exceptSession: string }) => Promise<void>;
}

type Retry = Pick<PageData['change-password'], 'errors' | 'wait'>;

const PATH = '/password';

/** Routes of the page on which a person changes their password. */
export function passwordRoutes(dependencies: PasswordPageDependencies): Route[] {
  return [
    ownPage(dependencies, PATH, (context, person) => {
      show(dependencies, context, person);
    }),
    route('POST', PATH, ownForm(dependencies, PATH), async (context, { form, ...person }) => {
      const next = field(form, 'next');
      const isAgreed = field(form, 'again') === next;
      const { account } = person;
      const address = clientAddress(context);
      const replace = (store: () => Promise<void>): Promise<void> =>
        dependencies.replacePassword(account.id, { store, exceptSession: person.session.uid });
      const passwords = { current: field(form, 'current'), next, isAgreed };
      await dependencies.forms.once(context, sentForm(context, form), async () => {
        const change = { account, ...passwords, address, deviceToken: deviceToken(context), replace };
        answer(dependencies, context, person, { result: await dependencies.changePassword(change), isAgreed });
      });
    }),
  ];
}

function show(
  dependencies: PasswordPageDependencies,
  context: Context,
  person: SignedIn,
  retry: Retry = {},
  status = 200,
): void {
  const html = dependencies.views.render('change-password', {
    ...retry,
    action: PATH,
    csrf: dependencies.csrf.token(context, person.purpose),
    email: person.account.email,
    minLength: dependencies.passwordMinLength,
  });
  showPage(context, html, { status });
}

function answer(
  dependencies: PasswordPageDependencies,
  context: Context,
  person: SignedIn,
  { result, isAgreed }: { result: PasswordChangeResult; isAgreed: boolean },
): void {
  const address = clientAddress(context);
  switch (result.outcome) {
    case 'changed':
      dependencies.announce({ type: 'password.changed', account: person.account.id, address });
      rememberDevice(context, result.deviceToken, KNOWN_DEVICE_LIFE);
      showPage(context, dependencies.views.render('password-changed', { email: person.account.email }));
      return;
    case 'problems': {
      const { current, next } = result.problems;
      if (current !== undefined) dependencies.announce({ type: 'sign-in.refused', address });
      const errors = {
        ...(current && { current: 'This is not your current password.' }),
        ...(next && { next: inWords(next, dependencies.passwordMinLength) }),
        ...(!isAgreed && { again: 'The two new passwords are not the same.' }),
      };
      show(dependencies, context, person, { errors }, current === undefined ? 422 : 401);
      return;
    }
    case 'wait':
      dependencies.announce({ type: 'sign-in.delayed', address, seconds: result.seconds });
      context.set('Retry-After', String(result.seconds));
      show(dependencies, context, person, { wait: result.seconds }, 429);
  }
}

function inWords(problem: keyof ReturnType<typeof passwordWords> | 'same', minLength: number): string {
  return problem === 'same' ? 'This is your current password. Choose another.' : passwordWords(minLength)[problem];
}
