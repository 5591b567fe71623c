/** Closed list of the failures outside the protocol engine. */
export type ProblemName =
  | 'bad-form'
  | 'body-too-large'
  | 'busy'
  | 'cannot-sign'
  | 'form-expired'
  | 'interaction-gone'
  | 'method-not-allowed'
  | 'no-content-type'
  | 'not-found'
  | 'too-many-guesses'
  | 'too-many-waiting'
  | 'sent-too-often'
  | 'signed-out'
  | 'unavailable'
  | 'unexpected'
  | 'unknown-host'
  | 'unsupported-form';

/** The public part of a problem. `error` is a code of RFC 6749 §4.1.2.1 or §5.2. */
export interface ProblemFace {
  status: number;
  error: 'invalid_request' | 'server_error' | 'temporarily_unavailable';
  title: string;
  message: string;
  hint?: string;
  /** A link with which a person can continue. */
  way?: Way;
}

/** A link on a page. */
export interface Way {
  readonly url: string;
  readonly label: string;
}

export const faces: Readonly<Record<ProblemName, ProblemFace>> = {
  'bad-form': {
    status: 400,
    error: 'invalid_request',
    title: 'This form could not be read',
    message: 'A field is missing, repeated or not valid text.',
    hint: 'Go back and send the form again.',
  },
  'body-too-large': {
    status: 413,
    error: 'invalid_request',
    title: 'This request is too large',
    message: 'The request is larger than this server accepts.',
  },
  busy: {
    status: 503,
    error: 'temporarily_unavailable',
    title: 'Too many people at once',
    message: 'More people are signing in than this server can handle right now.',
    hint: 'Wait a few seconds and try again.',
  },
  'cannot-sign': {
    status: 503,
    error: 'temporarily_unavailable',
    title: 'Back in a moment',
    message: 'The server cannot sign tokens right now.',
    hint: 'Try again in a few seconds.',
  },
  'form-expired': {
    status: 403,
    error: 'invalid_request',
    title: 'This page is out of date',
    message: 'The form was not sent from the page that this server showed you.',
    hint: 'Nothing was changed. Open the page again, or go back to the app.',
  },
  'interaction-gone': {
    status: 400,
    error: 'invalid_request',
    title: 'This sign-in has ended',
    message: 'It was finished in another tab, it waited too long, or the browser does not send cookies.',
    hint: 'Go back to the app and sign in again.',
    way: { url: '/', label: 'Go to your account' },
  },
  'method-not-allowed': {
    status: 405,
    error: 'invalid_request',
    title: 'Not possible here',
    message: 'This address does not accept this kind of request.',
  },
  'no-content-type': {
    status: 400,
    error: 'invalid_request',
    title: 'This request could not be read',
    message: 'The body has no content type: send it as application/x-www-form-urlencoded.',
  },
  'not-found': {
    status: 404,
    error: 'invalid_request',
    title: 'There is no such page',
    message: 'The address may be mistyped, or the page may have moved.',
    way: { url: '/', label: 'Go to the start page' },
  },
  'too-many-guesses': {
    status: 429,
    error: 'temporarily_unavailable',
    title: 'Too many attempts from your network',
    message: 'More passwords were tried from your network than this server allows.',
    hint: 'Wait a minute, then go back and try again.',
  },
  'too-many-waiting': {
    status: 429,
    error: 'temporarily_unavailable',
    title: 'Too many requests from your network',
    message: 'More sign-ins were started from your network than this server allows at once.',
    hint: 'Wait a few minutes, then go back to the app and try again.',
  },
  'sent-too-often': {
    status: 429,
    error: 'temporarily_unavailable',
    title: 'One at a time',
    message: 'This form was sent many times at once.',
    hint: 'Wait a few seconds and try again.',
  },
  'signed-out': {
    status: 400,
    error: 'invalid_request',
    title: 'Your session has ended',
    message: 'You are no longer signed in here, so nothing was changed.',
    hint: 'Sign in again to continue.',
  },
  unavailable: {
    status: 503,
    error: 'temporarily_unavailable',
    title: 'Back in a moment',
    message: 'The server cannot reach its store.',
    hint: 'Try again in a few seconds.',
  },
  unexpected: {
    status: 500,
    error: 'server_error',
    title: 'Something went wrong',
    message: 'Something went wrong on our side, and the server could not complete the request.',
    hint: 'Try again; if it happens again, give the people who run this server the reference below.',
  },
  'unknown-host': {
    status: 400,
    error: 'invalid_request',
    title: 'Unknown host',
    message: 'This server does not answer for the host name in the request.',
  },
  'unsupported-form': {
    status: 415,
    error: 'invalid_request',
    title: 'This form could not be read',
    message: 'Forms are accepted as application/x-www-form-urlencoded only.',
  },
};

/** A failure with a public and an internal part: `problem` selects the response, and the message goes to the log. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly problem: ProblemName;
  readonly headers: Readonly<Record<string, string>>;
  /** Replaces the link of the public part. */
  readonly way: Way | undefined;
  constructor(problem: ProblemName, reason: string, headers: Readonly<Record<string, string>> = {}, way?: Way) {
    super(reason);
    this.problem = problem;
    this.headers = headers;
    this.way = way;
  }
}
