import assert from 'node:assert/strict';

/** A person's browser without scripts: cookies, redirects and forms, over real HTTP. */
export class Browser {
  readonly cookies = new Map<string, { value: string; path: string }>();
  /** Sent with every request. */
  readonly headers: Record<string, string>;

  constructor(headers: Record<string, string> = {}) {
    this.headers = headers;
  }

  /** One request, without following where it leads. */
  async request(url: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers({ accept: 'text/html', ...this.headers });
    for (const [name, value] of new Headers(init.headers)) headers.set(name, value);
    const cookie = this.cookieHeader(new URL(url).pathname);
    if (cookie !== '') headers.set('cookie', cookie);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) this.keep(line);
    return response;
  }

  /** Follows redirects until a page, or until one leads to a URL with the given beginning, which is not requested. */
  async visit(url: string, init: RequestInit = {}, until = 'nowhere:'): Promise<Page> {
    let response = await this.request(url, init);
    let at = url;
    for (let hops = 0; response.status >= 300 && response.status < 400; hops += 1) {
      assert.ok(hops < 20, `too many redirects, the last to ${at}`);
      at = new URL(response.headers.get('location') ?? '', at).href;
      if (at.startsWith(until)) return { url: at, status: response.status, html: '', response };
      response = await this.request(at);
    }
    return { url: at, status: response.status, html: await response.text(), response };
  }

  /** Fills in and sends the form of a page. Its hidden fields go along. */
  submit(page: Page, fields: Record<string, string>, until?: string): Promise<Page> {
    const { action, hidden } = formOf(page);
    return this.visit(action, { method: 'POST', body: new URLSearchParams({ ...hidden, ...fields }) }, until);
  }

  cookieHeader(path: string): string {
    return [...this.cookies]
      .filter(([, cookie]) => path.startsWith(cookie.path))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');
  }

  private keep(line: string): void {
    const attributes = line.split(';').map((part) => part.trim());
    const pair = attributes.shift() ?? '';
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const path = attributes.find((text) => text.toLowerCase().startsWith('path='))?.slice(5) ?? '/';
    const expires = attributes.find((text) => text.toLowerCase().startsWith('expires='))?.slice(8);
    if (value === '' || (expires !== undefined && Date.parse(expires) <= Date.now())) this.cookies.delete(name);
    else this.cookies.set(name, { value, path });
  }
}

export interface Page {
  readonly url: string;
  readonly status: number;
  readonly html: string;
  readonly response: Response;
}

/** The page's form: where it goes and its hidden fields. */
export function formOf({ html, url }: Page): { action: string; hidden: Record<string, string> } {
  const action = /<form[^>]*action="([^"]*)"/.exec(html)?.[1];
  assert.ok(action !== undefined, `no form on ${url}:\n${html}`);
  const hidden: Record<string, string> = {};
  for (const [input] of html.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    if (name !== undefined) hidden[name] = unescape(/value="([^"]*)"/.exec(input)?.[1] ?? '');
  }
  return { action: new URL(unescape(action), url).href, hidden };
}

function unescape(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}
