/** Parameters whose values are public, or names of things: they may stand in the store. Everything else may not. */
const PUBLIC = new Set([
  ...['client_id', 'client_name', 'redirect_uri', 'post_logout_redirect_uri', 'resource', 'iss', 'aud', 'scope'],
  ...[
    'response_type',
    'grant_type',
    'token_type',
    'token_type_hint',
    'code_challenge_method',
    'error',
    'error_description',
  ],
  // An account's id, its address and its name; the name of its session at one client, which is in every ID token.
  ...['sub', 'username', 'preferred_username', 'email', 'name', 'account', 'sid'],
]);

/** Shorter ones are words such as `yes` and `login`, or guessed in no time. */
const SHORTEST = 12;

/**
 * Every value that passes between the test and the server, by where it was seen: parameters, JSON members, cookies,
 * credentials, form fields and parts of paths. Collected by default, so that a new kind of secret is not forgotten.
 */
export class SeenSecrets {
  readonly #values = new Map<string, string>();
  readonly #fetch = globalThis.fetch;

  /** The values seen, and where each was first. */
  get values(): ReadonlyMap<string, string> {
    return this.#values;
  }

  /** Looks at everything that `fetch` sends and gets from now on. */
  watch(): void {
    globalThis.fetch = async (input, init) => {
      const request = new Request(input, init);
      const body = await request.clone().text();
      const response = await this.#fetch(request);
      this.#look(request.url, request.headers, body);
      this.#look(request.url, response.headers, await response.clone().text());
      return response;
    };
  }

  unwatch(): void {
    globalThis.fetch = this.#fetch;
  }

  add(name: string, value: string): void {
    if (PUBLIC.has(name)) return;
    // A JWT's parts, a URN's last part, a signed cookie's value: each would be worth something by itself.
    for (const part of [value, ...value.split(/[.:]/)]) {
      if (part.length >= SHORTEST && !this.#values.has(part)) this.#values.set(part, name);
    }
  }

  #look(url: string, headers: Headers, body: string): void {
    this.#lookAtUrl(new URL(url));
    const location = headers.get('location');
    if (location !== null) this.#lookAtUrl(new URL(location, url));
    this.#lookAtCredentials(headers.get('authorization') ?? '');
    for (const line of headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      this.add(`cookie ${pair.slice(0, pair.indexOf('='))}`, pair.slice(pair.indexOf('=') + 1));
    }
    const type = headers.get('content-type') ?? '';
    if (type.includes('json')) this.#lookAtJson('', JSON.parse(body));
    else if (type.includes('urlencoded')) for (const [name, value] of new URLSearchParams(body)) this.add(name, value);
    else if (type.includes('html')) this.#lookAtPage(body, url);
  }

  #lookAtUrl(url: URL): void {
    for (const [name, value] of url.searchParams) this.add(name, value);
    for (const part of url.pathname.split('/')) this.add('path', part);
  }

  #lookAtCredentials(header: string): void {
    const [scheme, value = ''] = header.split(' ');
    this.add('credential', value);
    if (scheme !== 'Basic') return;
    const pair = Buffer.from(value, 'base64').toString();
    this.add('client secret', pair.slice(pair.indexOf(':') + 1));
  }

  #lookAtJson(name: string, value: unknown): void {
    if (typeof value === 'string') this.add(name, value);
    if (typeof value !== 'object' || value === null) return;
    for (const [member, inner] of Object.entries(value)) this.#lookAtJson(member, inner);
  }

  #lookAtPage(html: string, url: string): void {
    for (const [input] of html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      this.add(/name="([^"]*)"/.exec(input)?.[1] ?? '', /value="([^"]*)"/.exec(input)?.[1] ?? '');
    }
    for (const [, link = ''] of html.matchAll(/(?:href|action)="([^"]*)"/g)) {
      const target = new URL(link.replaceAll('&amp;', '&'), url);
      if (target.origin === new URL(url).origin && !target.pathname.startsWith('/assets/')) this.#lookAtUrl(target);
    }
  }
}
