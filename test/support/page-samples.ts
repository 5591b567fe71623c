import type { PageData, PageName } from '../../src/http/pages.ts';

/** Each page's data at its least and at its most. */
export type PageSamples = {
  readonly [Name in PageName]: { readonly minimal: PageData[Name]; readonly full: PageData[Name] };
};

const alice = { name: 'Alice Liddell', email: 'alice@example.com' };
const form = { action: '/interaction/9qJ2/step', csrf: 'f3Kc0XhYw7' };
const deviceForm = { action: '/device', xsrf: 'c2VjcmV0' };
const xsrf = [{ name: 'xsrf', value: 'c2VjcmV0' }];

const momentAgo = (seconds: number) => ({ at: Date.UTC(2026, 11, 1, 4, 55) - seconds * 1000, ago: seconds });
const firefox = {
  browser: 'Firefox on Linux',
  apps: ['Notes', 'Photos'],
  signedIn: momentAgo(12_000),
  used: momentAgo(4),
  place: '203.0.113.7',
};
const safari = {
  value: 's_2',
  browser: 'Safari on iPhone',
  apps: ['Notes'],
  signedIn: momentAgo(400_000),
  used: momentAgo(7300),
  place: '2001:db8:85a3:8d3::/64',
};
const unknownBrowser = { value: 's_3', browser: 'A browser', apps: [], signedIn: momentAgo(2_000_000) };
const photos = {
  value: 'demo-photos',
  name: 'Photos',
  logo: { uri: 'https://photos.example/logo.png', isOfOperator: true },
  scopes: [{ description: 'Confirm your identity' }, { description: 'Read your notes', resourceName: 'Notes API' }],
  offline: true,
};
const television = { value: 'tv', name: 'Living-room TV', scopes: [{ description: 'Confirm your identity' }] };

export const pageSamples: PageSamples = {
  'sign-in': {
    minimal: { ...form, clientName: 'Notes', remember: false, signUpUrl: '/interaction/9qJ2/sign-up' },
    full: {
      ...form,
      clientName: 'Notes',
      email: alice.email,
      remember: true,
      error: 'That email and password do not match.',
      signUpUrl: '/interaction/9qJ2/sign-up',
      cancelUrl: '/interaction/9qJ2/cancel',
    },
  },
  'sign-up': {
    minimal: { ...form, clientName: 'Notes', minLength: 15, signInUrl: '/interaction/9qJ2' },
    full: {
      ...form,
      ...alice,
      clientName: 'Notes',
      minLength: 15,
      errors: {
        form: 'The account was not created.',
        name: 'This name is too long. Use at most 100 characters.',
        email: 'Enter an email address, such as name@example.com.',
        password: 'This password is too common. Choose another one.',
      },
      signInUrl: '/interaction/9qJ2',
      cancelUrl: '/interaction/9qJ2/cancel',
    },
  },
  consent: {
    minimal: {
      ...form,
      clientName: 'Photos',
      account: alice,
      scopes: [{ description: 'Confirm your identity' }],
      redirectHost: 'photos.example',
    },
    full: {
      ...form,
      clientName: 'Photos',
      clientUri: 'https://photos.example/about',
      logo: { uri: 'https://photos.example/logo.png', isOfOperator: true },
      policyUri: 'https://photos.example/privacy',
      tosUri: 'https://photos.example/terms',
      account: alice,
      scopes: [
        { description: 'Confirm your identity' },
        { description: 'See your name and the address that you sign in with' },
        { description: 'Read your notes', resourceName: 'Notes API' },
      ],
      details: [
        {
          description: 'Make a payment',
          facts: [
            { label: 'Amount', value: '12.50' },
            { label: 'To', value: 'Merchant A' },
          ],
        },
      ],
      offline: true,
      redirectHost: 'photos.example',
    },
  },
  'choose-account': {
    minimal: { ...form, accounts: [{ ...alice, value: 'acc_1' }] },
    full: {
      ...form,
      clientName: 'Notes',
      accounts: [{ ...alice, value: 'acc_1' }],
    },
  },
  'device-code': {
    minimal: deviceForm,
    full: { ...deviceForm, userCode: 'WDJB-MJHT', error: 'We couldn’t find that code.' },
  },
  'device-confirm': {
    minimal: {
      ...deviceForm,
      userCode: 'WDJB-MJHT',
      clientName: 'Living-room TV',
      scopes: [{ description: 'Confirm your identity' }],
      address: '203.0.113.7',
      isNear: false,
      secondsAgo: 12,
    },
    full: {
      ...deviceForm,
      userCode: 'WDJB-MJHT',
      clientName: 'Living-room TV',
      logo: { uri: 'https://photos.example/logo.png', isOfOperator: false },
      clientUri: 'https://tv.example/about',
      policyUri: 'https://tv.example/privacy',
      tosUri: 'https://tv.example/terms',
      comesFrom: 'tv.example',
      account: alice,
      scopes: [{ description: 'Confirm your identity' }, { description: 'Read your notes', resourceName: 'Notes API' }],
      offline: true,
      address: '2001:db8:85a3:8d3:1319:8a2e:370:7348',
      isNear: true,
      secondsAgo: 95,
    },
  },
  'device-done': { minimal: { isAllowed: false }, full: { isAllowed: true, clientName: 'Living-room TV' } },
  'sign-out': {
    minimal: { action: '/logout/confirm', fields: xsrf },
    full: { action: '/logout/confirm', fields: xsrf, clientName: 'Notes', email: alice.email },
  },
  'signing-out': {
    minimal: { frames: [], next: 'https://photos.example/' },
    full: { frames: [], next: 'https://photos.example/?state=done' },
  },
  stayed: { minimal: {}, full: {} },
  'signed-out': { minimal: {}, full: { clientName: 'Notes', returnUrl: 'https://notes.example/' } },
  error: {
    minimal: { title: 'Something went wrong', message: 'Something went wrong on our side.', requestId: '01JXQ8Z6K4' },
    full: {
      title: 'This sign-in has expired',
      message: 'It was open for too long, or it was already finished in another tab.',
      hint: 'Go back to the app and choose to sign in again.',
      code: 'invalid_request',
      link: { url: 'https://notes.example/?error=access_denied', label: 'Continue to notes.example' },
      requestId: '01JXQ8Z6K4T7M2V9C3B5N8P0R1',
    },
  },
  'approval-done': {
    minimal: { isAllowed: false, clientName: 'Example Bank' },
    full: { isAllowed: true, clientName: 'Example Bank' },
  },
  sessions: {
    minimal: { ...form, sessions: [{ browser: 'A browser', apps: [], signedIn: momentAgo(5) }] },
    full: { ...form, sessions: [firefox, safari, unknownBrowser], ended: ['Chrome on Windows'] },
  },
  'end-session': {
    minimal: { ...form, value: 's_3', sessions: [unknownBrowser] },
    full: { ...form, value: 'others', sessions: [firefox, safari] },
  },
  apps: {
    minimal: { ...form, apps: [] },
    full: { ...form, apps: [photos, television], removed: 'Calendar' },
  },
  'remove-access': { minimal: { ...form, app: television }, full: { ...form, app: photos } },
  'change-password': {
    minimal: { ...form, email: alice.email, minLength: 15 },
    full: {
      ...form,
      email: alice.email,
      minLength: 15,
      errors: {
        current: 'This is not your current password.',
        next: 'This is one of the first passwords that anybody tries. Choose another.',
        again: 'The two new passwords are not the same.',
      },
      wait: 61,
    },
  },
  'password-changed': { minimal: { email: alice.email }, full: { email: alice.email } },
  home: {
    minimal: { signInUrl: '/authorize?client_id=latchkey-account' },
    full: {
      account: alice,
      signOutUrl: '/logout',
      pages: [
        { name: 'Where you are signed in', url: '/sessions' },
        { name: 'Apps with access', url: '/apps' },
        { name: 'Change your password', url: '/password' },
      ],
      approvals: [
        {
          ...form,
          clientName: 'Example Bank',
          bindingMessage: 'Pay 25.00 to Bob – W4SCT',
          scopes: [
            { description: 'Confirm your identity' },
            { description: 'Read your notes', resourceName: 'Notes API' },
          ],
          offline: true,
          secondsAgo: 20,
        },
        { ...form, clientName: 'Call centre', scopes: [{ description: 'Confirm your identity' }], secondsAgo: 130 },
      ],
      demo: [
        { name: 'Notes', url: 'http://localhost:3001/' },
        { name: 'Photos', url: 'http://localhost:3002/' },
      ],
    },
  },
};
