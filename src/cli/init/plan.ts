import { isLoopback, issuerRule, originRule, resourceIdentifierRule, type Rule } from '../../config/rules.ts';
import { DEFAULT_FILE } from '../choose-config.ts';
import { didYouMean } from '../../config/suggest.ts';
import { textOf, UsageError, type Arguments, type Terminal } from '../command.ts';

/** The answers from which the command makes a first configuration. */
interface InitPlan {
  issuer: string;
  /** The app's name. */
  name: string;
  /** The app's origin. */
  app: string;
  type: 'spa' | 'web';
  /** The identifier of the API that the app calls. */
  api?: string;
}

/** Turns a name into a client id: `My app` becomes `my-app`. */
function slugOf(name: string): string {
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, ''); // prettier-ignore
  return slug.startsWith('acc_') ? `app-${slug}` : slug;
}

/** Returns the path of the app's secret, relative to the configuration file; `undefined` if the app has no secret. */
export function secretFileOf({ name, type }: InitPlan): string | undefined {
  return type === 'web' ? `secrets/${slugOf(name)}` : undefined;
}

function scopeOf({ name }: InitPlan): string {
  return `${slugOf(name)}:read`;
}

/** Quotes a text for YAML if necessary. Every JSON string is also a YAML string. */
const quoted = (text: string): string =>
  /^[\w:/.-]+$/.test(text) && /^[a-z]/i.test(text) ? text : JSON.stringify(text);

export function configText(plan: InitPlan): string {
  const { issuer, name, app, type, api } = plan;
  const scopes = ['openid', 'profile', 'email', ...(api === undefined ? [] : [`'${scopeOf(plan)}'`])];
  const secret = secretFileOf(plan);
  const lines = [
    '# The configuration of this Latchkey server. Relative paths start from the folder of this file.',
    '# docs/latchkey.example.yaml has every setting; "latchkey check-config" checks this file.',
    `issuer: ${issuer}`,
    ...listenLines(issuer),
    '',
    '# With false, only operators create accounts ("latchkey accounts add"). With true, people can sign up themselves.',
    'sign_up: { enabled: false }',
    ...(api === undefined
      ? []
      : [
          ...['', 'resources:', `  - identifier: ${quoted(api)}`, `    name: ${quoted(`The API of ${name}`)}`],
          ...['    scopes:', `      '${scopeOf(plan)}': { description: ${quoted(`See your data in ${name}`)} }`],
        ]),
    ...[
      '',
      'clients:',
      `  - client_id: ${quoted(slugOf(name))}`,
      `    client_name: ${quoted(name)}`,
      `    type: ${type}`,
    ],
    ...(secret === undefined ? [] : [`    secret: { file: ${secret} }`]),
    '    # Your own app. People are not asked for consent before it gets their name and email address.',
    '    first_party: true',
    `    redirect_uris: [${quoted(`${app}/callback`)}]`,
    `    post_logout_redirect_uris: [${quoted(`${app}/`)}]`,
    `    scopes: [${scopes.join(', ')}]`,
    ...(api === undefined ? [] : [`    resources: [${quoted(api)}]`]),
  ];
  return `${lines.join('\n')}\n`;
}

function listenLines(issuer: string): string[] {
  const { protocol, hostname, port } = new URL(issuer);
  if (protocol === 'http:' && isLoopback(hostname)) return [`listen: { port: ${port === '' ? 80 : port} }`];
  return [
    '# A proxy on this machine ends TLS and forwards requests to port 3000. For a proxy elsewhere, set host: 0.0.0.0 and its address.',
    "listen: { host: 127.0.0.1, port: 3000, trusted_proxies: [127.0.0.1, '::1'] }",
  ];
}

/** Lists the next steps in order, and the settings for the app. */
export function nextSteps(plan: InitPlan, file: string): string {
  const { issuer, name, app, api } = plan;
  const named = file === DEFAULT_FILE ? '' : ` --config ${file}`;
  const secret = secretFileOf(plan);
  const scopes = ['openid', 'profile', 'email', ...(api === undefined ? [] : [scopeOf(plan)])];
  return `Next:
  latchkey start${named}
      starts the server, which creates its store (.latchkey) and keys (keys) next to ${file}
  latchkey accounts add you@example.com${named}
      in another terminal: creates an account to sign in with

Settings for ${name}:
  issuer (authority)  ${issuer}
  client_id           ${slugOf(name)}${secret === undefined ? '' : `\n  client_secret       the text in ${secret}`}
  redirect_uri        ${app}/callback
  after sign-out      ${app}/
  scope               ${scopes.join(' ')}${api === undefined ? '' : `\n  resource            ${api}, the audience of its access tokens`}`;
}

const TYPES = ['spa', 'web'] as const;

interface Question {
  option: string;
  text: string;
  defaultAnswer: string;
  rule: Rule;
}

/** Normalises a typed address: removes the trailing slash that a browser shows. */
const trimmed = (text: string): string => text.trim().replace(/\/$/, '');

const isName: Rule = (text) =>
  /^\P{C}{1,60}$/u.test(text) && /[a-z0-9]/i.test(text)
    ? undefined
    : 'must be 1 to 60 characters, with at least one of a to z or 0 to 9, because the client_id is derived from it';

const isType: Rule = (text) =>
  TYPES.some((type) => type === text) ? undefined : `must be one of ${TYPES.join(', ')}${didYouMean(text, TYPES)}`;

const isApi: Rule = (text) => (text === '' ? undefined : resourceIdentifierRule(text));

const ISSUER: Question = {
  option: 'issuer',
  text: 'What is the URL of this server?',
  defaultAnswer: 'http://localhost:3000',
  rule: issuerRule,
};

const QUESTIONS: readonly Question[] = [
  { option: 'name', text: 'What is your first app called?', defaultAnswer: 'My app', rule: isName },
  {
    option: 'type',
    text: 'Does it run only in the browser (spa), or does it have a server (web)?',
    defaultAnswer: 'spa',
    rule: isType,
  },
  { option: 'app', text: 'What is its URL?', defaultAnswer: 'http://localhost:5173', rule: originRule },
  { option: 'api', text: 'What is the URL of the API that it calls, if any?', defaultAnswer: '', rule: isApi },
];

/** Asks for the values that no option sets. @throws UsageError for an invalid option value */
export async function askPlan(given: Arguments, terminal: Terminal): Promise<InitPlan> {
  const answers: Record<string, string> = {};
  const questions = [{ ...ISSUER, defaultAnswer: defaultIssuer(terminal.environment) }, ...QUESTIONS];
  for (const question of questions) answers[question.option] = await answerTo(question, given, terminal);
  const { issuer = '', name = '', app = '', type, api = '' } = answers;
  return { issuer, name, app, type: type === 'web' ? 'web' : 'spa', ...(api !== '' && { api }) };
}

/** Returns the default issuer: the one that the environment sets, or else localhost with the port that it sets. */
function defaultIssuer({ LATCHKEY_ISSUER: issuer = '', LATCHKEY_PORT: port = '' }: NodeJS.ProcessEnv): string {
  if (issuerRule(issuer) === undefined) return issuer;
  return /^[1-9]\d{0,4}$/.test(port) ? `http://localhost:${port}` : ISSUER.defaultAnswer;
}

async function answerTo(question: Question, given: Arguments, terminal: Terminal): Promise<string> {
  const { option, text, defaultAnswer, rule } = question;
  const written = textOf(given, option);
  if (written !== undefined) {
    const value = trimmed(written);
    const problem = rule(value);
    if (problem !== undefined) throw new UsageError(`--${option} ${JSON.stringify(written)} ${problem}`);
    return value;
  }
  if (given.options['yes'] === true) return defaultAnswer;
  for (;;) {
    const answer = await terminal.ask(`${text} [${defaultAnswer || 'none'}] `);
    if (answer === undefined) return defaultAnswer;
    const value = trimmed(answer) || defaultAnswer;
    const problem = rule(value);
    if (problem === undefined) return value;
    terminal.warn(`  ${JSON.stringify(value)} ${problem}`);
  }
}
