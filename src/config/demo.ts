import { DEMO_EMAILS, DEMO_PASSWORD } from './loading/secret-strength.ts';
import { applyEnvironment, hasValue } from './loading/environment.ts';
import { ConfigError, pathText } from './problems.ts';
import { isLoopback } from './rules.ts';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';
import { validate } from './validate.ts';

/** URLs of the demo's server, apps and API. The ports of the apps and the API follow the server's port. */
interface DemoUrls {
  server: string;
  notes: string;
  photos: string;
  api: string;
  web: string;
}

export function demoUrls(port: number, hostname = 'localhost'): DemoUrls {
  const at = (offset: number) => `http://${hostname}:${port + offset}`;
  return { server: at(0), notes: at(1), photos: at(2), api: at(3), web: at(4) };
}

/** Returns the demo's two apps, as the server's root page lists them. */
export function demoApps({ clients }: Pick<Config, 'clients'>): { name: string; url: string }[] {
  return clients
    .filter(({ type }) => type === 'spa')
    .map((client) => ({ name: client.client_name, url: client.post_logout_redirect_uris[0] ?? '' }));
}

/**
 * Returns the configuration of demo mode. Environment variables override its settings like those of a file. @throws
 * ConfigError in production, if another machine could reach the server, or for an invalid variable
 */
export function demoConfig(options: { port?: number; environment?: NodeJS.ProcessEnv } = {}): Config {
  const { environment = {} } = options;
  refuseOutside(environment);
  const port = options.port ?? demoPort(environment);
  // The apps use the issuer's host name, so that they follow it to 127.0.0.1.
  const urls = demoUrls(port, URL.parse(environment['LATCHKEY_ISSUER'] ?? '')?.hostname);
  const overridden = applyEnvironment(settings(urls, port), { ...environment, LATCHKEY_PORT: String(port) });
  const validated = validate(overridden.value);
  if ('value' in validated) return { ...validated.value, isDemo: true };
  const named = (path: readonly (string | number)[]) => overridden.variableAt(path) ?? pathText(path);
  throw new ConfigError(
    'the environment',
    validated.faults.map(({ path, message }) => ({ path: named(path), message })),
  );
}

function demoPort(environment: NodeJS.ProcessEnv): number {
  if (!hasValue(environment, 'LATCHKEY_PORT')) return 3000;
  const port = Number(environment['LATCHKEY_PORT']);
  if (Number.isInteger(port) && port >= 1 && port <= 65_531) return port;
  const message = 'must be a whole number from 1 to 65531, because the demo also uses the four ports after it';
  throw new ConfigError('the environment', [{ path: 'LATCHKEY_PORT', message }]);
}

function refuseOutside(environment: NodeJS.ProcessEnv): void {
  const { NODE_ENV: mode, LATCHKEY_ISSUER: issuer = '', LATCHKEY_HOST: host = '' } = environment;
  const issuerHost = URL.parse(issuer)?.hostname ?? '';
  const reasons: [variable: string, reason: string | undefined][] = [
    ['NODE_ENV', mode === 'production' ? 'is production' : undefined],
    ['LATCHKEY_ISSUER', issuerHost === '' || isLoopback(issuerHost) ? undefined : 'is not a loopback address'],
    ['LATCHKEY_HOST', host === '' || isLoopback(host) ? undefined : 'is not a loopback address'],
  ];
  const fix = 'demo mode has passwords that everybody knows, so it is for this machine only; create a latchkey.yaml';
  const problems = reasons.flatMap(([path, reason]) =>
    reason === undefined ? [] : [{ path, message: `${reason}; ${fix}` }],
  );
  if (problems.length > 0) throw new ConfigError('demo mode', problems);
}

function settings(urls: DemoUrls, port: number): Record<string, unknown> {
  return {
    issuer: urls.server,
    branding: { name: 'Latchkey demo' },
    listen: { host: '127.0.0.1', port },
    // The demo keeps its files apart from those of a configured server.
    stores: { grants: 'sqlite:.latchkey/demo/latchkey.db' },
    keys_dir: '.latchkey/demo/keys',
    passwords: { min_length: 12 },
    sign_up: { enabled: true },
    resources: [
      {
        identifier: urls.api,
        name: 'Notes API',
        scopes: { 'notes:read': { description: 'Read your notes', roles: ['user'] } },
      },
    ],
    clients: [
      app('demo-notes', 'Notes', urls.notes, urls.api),
      app('demo-photos', 'Photos', urls.photos, urls.api),
      {
        client_id: 'demo-web',
        client_name: 'Demo web app',
        type: 'web',
        secret: new Secret('demo-web-secret'),
        redirect_uris: [`${urls.web}/callback`],
        post_logout_redirect_uris: [`${urls.web}/`],
        scopes: ['openid', 'profile', 'email', 'roles', 'offline_access', 'notes:read'],
        resources: [urls.api],
        introspection: true,
      },
      {
        client_id: 'demo-service',
        client_name: 'Demo service',
        type: 'machine',
        secret: new Secret('demo-service-secret'),
        scopes: ['notes:read'],
        resources: [urls.api],
        default_resource: urls.api,
      },
    ],
    accounts: [account(DEMO_EMAILS[0], 'Alice', ['user']), account(DEMO_EMAILS[1], 'Admin', ['user', 'admin'])],
  };
}

function account(email: string, name: string, roles: string[]): Record<string, unknown> {
  return { email, name, password: new Secret(DEMO_PASSWORD), roles, email_verified: true };
}

function app(id: string, name: string, at: string, api: string): Record<string, unknown> {
  return {
    client_id: id,
    client_name: name,
    type: 'spa',
    first_party: true,
    redirect_uris: [`${at}/callback`, `${at}/silent`],
    post_logout_redirect_uris: [`${at}/`],
    scopes: ['openid', 'profile', 'email', 'roles', 'offline_access', 'notes:read'],
    resources: [api],
    default_resource: api,
  };
}
