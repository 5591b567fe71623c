/** A person's name and email address, as a page shows them. */
interface Person {
  readonly name: string;
  readonly email: string;
}

/** A form's address, and the token that proves that this server served the page. */
interface Form {
  readonly action: string;
  readonly csrf: string;
}

interface SignIn extends Form {
  readonly clientName: string;
  readonly email?: string;
  /** True if "Keep me signed in" is ticked. */
  readonly remember: boolean;
  /** The problem of the last attempt, in words. */
  readonly error?: string;
  /** Seconds until the next attempt is allowed; shown instead of an error. */
  readonly wait?: number;
  readonly signUpUrl?: string;
  readonly cancelUrl?: string;
}

interface SignUp extends Form {
  readonly clientName: string;
  readonly name?: string;
  readonly email?: string;
  /** The shortest password that is accepted, in characters. */
  readonly minLength: number;
  /** Problems by field. `form` holds a problem that concerns no single field. */
  readonly errors?: Partial<Record<'form' | 'name' | 'email' | 'password', string>>;
  /** Seconds until the next attempt is allowed. */
  readonly wait?: number;
  readonly signInUrl: string;
  readonly cancelUrl?: string;
}

/** The picture of an app, which the page loads through this server. */
interface AppLogo {
  readonly uri: string;
  /** True if the operator named the address, false if the app did. */
  readonly isOfOperator: boolean;
}

interface Consent extends Form {
  readonly clientName: string;
  readonly clientUri?: string;
  readonly logo?: AppLogo;
  readonly policyUri?: string;
  readonly tosUri?: string;
  readonly account: Person;
  /** The requested permissions in words. A permission for an API has that API's `resourceName`. */
  readonly scopes: readonly { readonly description: string; readonly resourceName?: string }[];
  /** Authorization details (RFC 9396): permissions for one occasion, such as a payment. */
  readonly details?: readonly {
    readonly description: string;
    readonly facts: readonly { readonly label: string; readonly value: string }[];
  }[];
  /** True if access lasts while the person is away (`offline_access`). */
  readonly offline?: boolean;
  /** The host that a self-registered app comes from. */
  readonly comesFrom?: string;
  /** The host to which the browser goes next; empty for an app with a private-use scheme (RFC 8252 §7.1). */
  readonly redirectHost?: string;
  /** True if a device waits for the answer. The browser then stays on this server. */
  readonly onDevice?: boolean;
}

/** A form of the device flow, with the engine's CSRF token. */
interface DeviceForm {
  readonly action: string;
  readonly xsrf: string;
}

interface DeviceCode extends DeviceForm {
  readonly userCode?: string;
  readonly error?: string;
  /** Seconds until the next code may be tried; shown instead of an error. */
  readonly wait?: number;
}

interface DeviceConfirm
  extends DeviceForm, Pick<Consent, 'clientName' | 'clientUri' | 'logo' | 'policyUri' | 'tosUri' | 'comesFrom'> {
  readonly userCode: string;
  /** The signed-in person. */
  readonly account?: Person;
  readonly scopes: Consent['scopes'];
  readonly offline?: boolean;
  /** The IP address of the device's request. `isNear` is true if this browser is in the same network. */
  readonly address: string;
  readonly isNear: boolean;
  readonly secondsAgo: number;
}

/** The person's decision, for which a device or another app waits. */
interface Decision {
  readonly isAllowed: boolean;
  readonly clientName?: string;
}

interface ChooseAccount extends Form {
  readonly clientName?: string;
  readonly accounts: readonly (Person & { readonly value: string })[];
}

/** The engine supplies this form's action and hidden fields, including its CSRF token. */
interface SignOut {
  readonly clientName?: string;
  readonly email?: string;
  readonly action: string;
  readonly fields: readonly { readonly name: string; readonly value: string }[];
}

/** Frames in which the session's apps sign out (OpenID Connect Front-Channel Logout 1.0 §3). */
interface SigningOut {
  readonly frames: readonly string[];
  /** The address at which the person continues. */
  readonly next: string;
}

interface SignedOut {
  readonly clientName?: string;
  readonly returnUrl?: string;
}

interface ErrorPage {
  readonly title: string;
  readonly message: string;
  readonly hint?: string;
  /** The specification's code, such as `invalid_request`. */
  readonly code?: string;
  /** A link to continue. */
  readonly link?: { readonly url: string; readonly label: string };
  readonly requestId: string;
}

/** A request that the person answers in this browser for an app that runs elsewhere (CIBA). */
interface Approval extends Form {
  readonly clientName: string;
  /** The message that the app also shows, so that the person can compare the two. */
  readonly bindingMessage?: string;
  readonly scopes: Consent['scopes'];
  readonly offline?: boolean;
  readonly secondsAgo: number;
}

/** An instant in milliseconds since the epoch, and its age in seconds. */
interface Moment {
  readonly at: number;
  readonly ago: number;
}

/** A browser in which the person is signed in. */
interface BrowserSession {
  /** The browser in words, such as `Firefox on Linux`. */
  readonly browser: string;
  readonly signedIn: Moment;
  readonly used?: Moment;
  /** The browser's latest IP address or address block. */
  readonly place?: string;
  /** The names of the apps that were used in this session. */
  readonly apps: readonly string[];
}

/** The person's sessions, the latest first. */
interface Sessions extends Form {
  /** `value` identifies the session in the form. This browser's session has none: it ends on the sign-out page. */
  readonly sessions: readonly (BrowserSession & { readonly value?: string })[];
  /** The names of the browsers that were just signed out. Empty if they were signed out already. */
  readonly ended?: readonly string[];
}

/** Asks whether to sign these browsers out. */
interface EndSession extends Form {
  readonly value: string;
  readonly sessions: readonly BrowserSession[];
}

interface OwnApp {
  readonly value: string;
  readonly name: string;
  readonly logo?: AppLogo;
  readonly scopes: Consent['scopes'];
  readonly offline?: boolean;
}

/** The apps that may use the account. */
interface Apps extends Form {
  readonly apps: readonly OwnApp[];
  /** The name of the app whose access was just removed. Empty if the app had no access. */
  readonly removed?: string;
}

interface ChangePassword extends Form {
  /** The account's address, for password managers. */
  readonly email: string;
  readonly minLength: number;
  readonly errors?: Partial<Record<'current' | 'next' | 'again', string>>;
  /** Seconds until the next attempt is allowed. */
  readonly wait?: number;
}

interface Home {
  readonly account?: Person;
  /** The account pages. */
  readonly pages?: readonly { readonly name: string; readonly url: string }[];
  readonly approvals?: readonly Approval[];
  readonly signInUrl?: string;
  readonly signOutUrl?: string;
  readonly demo?: readonly { readonly name: string; readonly url: string }[];
}

/**
 * The data of each page. Every form submits `csrf`, or the engine's `xsrf` if the engine reads the form. The other
 * fields are:
 * - sign-in: `email`, `password`, and `remember=yes` if ticked
 * - sign-up: `name`, `email`, `password`
 * - consent, and each approval on home: `decision=allow` or `decision=deny`
 * - choose-account: `account=VALUE` or `another=yes`
 * - sign-out: `logout=yes`, or nothing to stay signed in
 * - sessions: `session=VALUE` or `session=others`; end-session adds `confirm=yes`
 * - apps: `app=VALUE`; remove-access adds `confirm=yes`
 * - change-password: `current`, `next`, `again`
 * - device-code: `user_code`
 * - device-confirm: `confirm=yes` or `abort=yes`
 */
export interface PageData {
  'sign-in': SignIn;
  'sign-up': SignUp;
  consent: Consent;
  'choose-account': ChooseAccount;
  'device-code': DeviceCode;
  'device-confirm': DeviceConfirm;
  'device-done': Decision;
  'sign-out': SignOut;
  'signed-out': SignedOut;
  stayed: object;
  'signing-out': SigningOut;
  error: ErrorPage;
  'approval-done': Required<Decision>;
  home: Home;
  sessions: Sessions;
  'end-session': EndSession;
  apps: Apps;
  'remove-access': Form & { readonly app: OwnApp };
  'change-password': ChangePassword;
  'password-changed': { readonly email: string };
}

export type PageName = keyof PageData;
