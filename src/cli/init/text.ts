import { isLoopback } from '../../config/rules.ts';
import { DEFAULT_FILE } from '../choose-config.ts';

/** The answers from which a first configuration is made. */
export interface InitPlan {
  issuer: string;
  /** The app's name, and its origin. */
  name: string;
  app: string;
  type: 'spa' | 'web';
  /** The identifier of the API that it calls. */
  api?: string;
}

/** The name in the form of a client id: `My app` is `my-app`. */
function slugOf(name: string): string {
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, ''); // prettier-ignore
  return slug.startsWith('acc_') ? `app-${slug}` : slug;
}

/** Path of the app's secret, relative to the configuration file. */
export function secretFileOf({ name, type }: InitPlan): string | undefined {
  return type === 'web' ? `secrets/${slugOf(name)}` : undefined;
}

function scopeOf({ name }: InitPlan): string {
  return `${slugOf(name)}:read`;
}

/** Every JSON string is also a YAML string. */
const quoted = (text: string): string =>
  /^[\w:/.-]+$/.test(text) && /^[a-z]/i.test(text) ? text : JSON.stringify(text);

export function configText(plan: InitPlan): string {
  const { issuer, name, app, type, api } = plan;
  const scopes = ['openid', 'profile', 'email', ...(api === undefined ? [] : [`'${scopeOf(plan)}'`])];
  const secret = secretFileOf(plan);
  const lines = [
    '# The configuration of this Latchkey server. Paths in it start from its folder.',
    '# docs/latchkey.example.yaml has every setting; "latchkey check-config" checks this file.',
    `issuer: ${issuer}`,
    ...listenLines(issuer),
    '',
    '# Operators make the accounts ("latchkey accounts add"); with true, people sign up by themselves.',
    'sign_up: { enabled: false }',
    ...(api === undefined
      ? []
      : [
          ...['', 'resources:', `  - identifier: ${quoted(api)}`, `    name: ${quoted(`The API of ${name}`)}`],
          ...['    scopes:', `      '${scopeOf(plan)}': { description: ${quoted(`See what ${name} has of you`)} }`],
        ]),
    ...[
      '',
      'clients:',
      `  - client_id: ${quoted(slugOf(name))}`,
      `    client_name: ${quoted(name)}`,
      `    type: ${type}`,
    ],
    ...(secret === undefined ? [] : [`    secret: { file: ${secret} }`]),
    '    # Nobody is asked whether an app of your own may know who they are.',
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
    '# A proxy on this machine ends TLS and passes requests on to port 3000. Elsewhere, write host: 0.0.0.0, and its address.',
    "listen: { host: 127.0.0.1, port: 3000, trusted_proxies: [127.0.0.1, '::1'] }",
  ];
}

/** Lists the next steps with the file, in order, and the settings for the app. */
export function nextSteps(plan: InitPlan, file: string): string {
  const { issuer, name, app, api } = plan;
  const named = file === DEFAULT_FILE ? '' : ` --config ${file}`;
  const secret = secretFileOf(plan);
  const scopes = ['openid', 'profile', 'email', ...(api === undefined ? [] : [scopeOf(plan)])];
  return `Next:
  latchkey start${named}
      starts the server, which makes its store (.latchkey) and keys (keys) beside ${file}
  latchkey accounts add you@example.com${named}
      in another terminal: an account to sign in with

${name} needs to know:
  issuer (authority)  ${issuer}
  client_id           ${slugOf(name)}${secret === undefined ? '' : `\n  client_secret       the text in ${secret}`}
  redirect_uri        ${app}/callback
  after sign-out      ${app}/
  scope               ${scopes.join(' ')}${api === undefined ? '' : `\n  resource            ${api}, the audience of its access tokens`}`;
}
