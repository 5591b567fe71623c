import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** The app's configuration, served at `/config.json`. */
export interface AppConfig {
  name: string;
  origin: string;
  issuer: string;
  clientId: string;
  /** Scopes, separated by spaces. */
  scope: string;
  /** The API's origin, which is also its resource identifier (RFC 8707). */
  api: string;
  /** The other demo app, which shares the session. */
  other: { name: string; origin: string };
}

interface Asset {
  type: string;
  body: Buffer;
}

// Table of all paths. A path that is not listed does not exist, however it is written.
const FILES: Readonly<Record<string, string>> = {
  '/': 'app/index.html',
  '/callback': 'app/index.html',
  '/silent': 'app/silent.html',
  '/app.js': 'app/app.js',
  '/session.js': 'app/session.js',
  '/silent.js': 'app/silent.js',
  '/view.js': 'app/view.js',
  '/words.js': 'app/words.js',
  '/style.css': 'app/style.css',
  '/icon.svg': 'app/icon.svg',
};

const TYPES = new Map([
  ['html', 'text/html; charset=utf-8'],
  ['js', 'text/javascript; charset=utf-8'],
  ['css', 'text/css; charset=utf-8'],
  ['svg', 'image/svg+xml'],
]);

/** Serves a single-page app as static files. The apps differ only in their configuration. */
export async function createAppSite(config: AppConfig): Promise<RequestListener> {
  const assets = await loadAssets(config);
  const page = securityHeaders(config, "'none'");
  const framed = securityHeaders(config, "'self'");

  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '';
    const asset = assets.get(path);
    response.setHeaders(new Map(Object.entries(path === '/silent' ? framed : page)));
    if (asset === undefined) {
      response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' }).end('There is nothing here.\n');
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    } else {
      response.writeHead(200, { 'Content-Type': asset.type, 'Content-Length': asset.body.length }).end(asset.body);
    }
  };
}

async function loadAssets(config: AppConfig): Promise<Map<string, Asset>> {
  const files = Object.entries(FILES).map(async ([path, file]): Promise<[string, Asset]> => {
    const body = await readFile(fileURLToPath(new URL(file, import.meta.url)));
    return [path, { type: TYPES.get(file.split('.').at(-1) ?? '') ?? 'application/octet-stream', body }];
  });
  // The package's browser bundle is a single file. Its ES module would need an import map, which is an inline script.
  const library = createRequire(import.meta.url).resolve('oidc-client-ts/package.json');
  const bundle = await readFile(library.replace(/package\.json$/, 'dist/browser/oidc-client-ts.min.js'));
  return new Map([
    ...(await Promise.all(files)),
    ['/oidc-client-ts.js', { type: 'text/javascript; charset=utf-8', body: bundle }],
    ['/config.json', { type: 'application/json', body: Buffer.from(JSON.stringify(config)) }],
  ]);
}

/** `frame-src` lists the issuer and the app itself, because silent sign-in redirects between them inside a frame. */
function securityHeaders({ issuer, api }: AppConfig, ancestors: string): Record<string, string> {
  const server = new URL(issuer).origin;
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${server} ${api}`,
    `frame-src 'self' ${server}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${ancestors}`,
    "require-trusted-types-for 'script'",
  ];
  return {
    'Content-Security-Policy': policy.join('; '),
    'X-Content-Type-Options': 'nosniff',
    // The URL of the callback page contains the code.
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-cache',
  };
}
