import fc from 'fast-check';
import { CANARY } from './well-behaved.ts';

/** A valid request, which attacks start from. */
export interface Base {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly (readonly [name: string, value: string])[];
  readonly headers?: readonly string[];
}

const FORM = 'Content-Type: application/x-www-form-urlencoded';

/** Encoded already, so that what no encoder makes can stand here too. */
const oddValue = fc.oneof(
  fc.constantFrom(
    ...[
      '',
      '%00',
      '%ff%fe',
      '%',
      '%zz',
      '%c0%af',
      '%0d%0aX-Injected:%201',
      '%ED%A0%80',
      '+',
      '%20',
      '0',
      '-1',
      '1e999',
    ],
    ...[
      'null',
      'undefined',
      'NaN',
      'true',
      '[]',
      '{}',
      '%7B%22a%22%3A1%7D',
      '..%2F..%2Fetc',
      '%24ne',
      "'%20OR%201=1--",
    ],
    ...['javascript:alert(1)', 'https://evil.example/', '//evil.example', 'data:text/html,x', 'http://localhost:1/'],
    ...['none', 'query', 'fragment', 'form_post', 'jwt', 'code', 'code token', 'openid', 'offline_access', 'plain'],
    ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'eyJhbGciOiJub25lIn0.e30.', 'a.b.c', 'urn:x:y'],
    encodeURIComponent(CANARY),
    encodeURIComponent('ünï\u202Ecödé \u{1F511}'),
    'x'.repeat(5000),
  ),
  fc.string({ unit: 'grapheme', maxLength: 40 }).map(encodeURIComponent),
  fc.string({ unit: fc.constantFrom('%', '0', 'F', '&', '=', '+', ';', '#', 'a', '[', ']'), maxLength: 20 }),
);

const oddName = fc.oneof(
  fc.constantFrom(
    ...['__proto__', 'constructor', 'prototype', '__proto__[a]', 'toString', 'length', '', '%00', '%ff', '[]'],
    ...['request', 'request_uri', 'registration', 'claims', 'resource', 'client_secret', 'client_assertion'],
    ...['id_token_hint', 'max_age', 'prompt', 'response_mode', 'ui_locales', 'login_hint', 'acr_values', 'dpop_jkt'],
    encodeURIComponent(CANARY),
  ),
  fc.string({ unit: 'grapheme', maxLength: 10 }).map(encodeURIComponent),
);

type Change = (parameters: string[]) => string[];

const at = (seed: number, length: number): number => (length === 0 ? 0 : seed % length);
const nameOf = (parameter = ''): string => parameter.split('=')[0] ?? '';

/** One thing that is done to the parameters of a request. */
const change: fc.Arbitrary<Change> = fc.nat(50).chain((seed) =>
  fc.oneof(
    fc.constant<Change>((all) => all.toSpliced(at(seed, all.length), 1)),
    fc.constant<Change>((all) => [...all, all[at(seed, all.length)] ?? 'a=b']),
    oddValue.map<Change>((value) => (all) => {
      const index = at(seed, all.length);
      return all.toSpliced(index, 1, `${nameOf(all[index])}=${value}`);
    }),
    oddValue.map<Change>((value) => (all) => [...all, `${nameOf(all[at(seed, all.length)])}=${value}`]),
    fc.constantFrom('[]', '[0]', '[a]', '.a', '%00', '%20').map<Change>((suffix) => (all) => {
      const [name, ...rest] = (all[at(seed, all.length)] ?? 'a=b').split('=');
      return all.toSpliced(at(seed, all.length), 1, `${name ?? ''}${suffix}=${rest.join('=')}`);
    }),
    fc.tuple(oddName, oddValue).map<Change>(([name, value]) => (all) => [...all, `${name}=${value}`]),
  ),
);

const oddHeader = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.constantFrom(
      ...['Accept: text/html', 'Accept: application/json', 'Accept: image/*', 'Accept: ;;q=x', 'Accept:'],
      ...['Authorization: Basic', 'Authorization: Basic %%%', 'Authorization: Basic Ojo=', 'Authorization: Bearer'],
      ...['Authorization: Bearer a b', 'Authorization: DPoP x', 'Authorization: Bearer eyJhbGciOiJub25lIn0.e30.'],
      ...['Authorization: Basic __proto__', `Authorization: Basic ${Buffer.from('__proto__:x').toString('base64')}`],
      ...[
        'Cookie: session=x',
        'Cookie: session=x; session.sig=x',
        'Cookie: ;;;=',
        'Cookie: interaction=x',
        'Cookie: \xff',
      ],
      ...['Origin: null', 'Origin: https://evil.example', 'Origin: http://localhost', 'Referer: \u0001'],
      ...['X-HTTP-Method-Override: DELETE', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: javascript'],
      ...[
        'Content-Encoding: gzip',
        'Expect: 100-continue',
        'Expect: nothing',
        'Range: bytes=0-1',
        'Upgrade: websocket',
      ],
      ...[
        'If-None-Match: *',
        'If-Modified-Since: yesterday',
        'DPoP: x',
        'DPoP: a.b.c',
        'TE: trailers',
        'Bad Header: x',
      ],
      ...['Transfer-Encoding: gzip', 'X-Odd: \0', 'X-Original-URL: /admin', 'Accept-Language: \xff\xfe'],
    ),
  },
  // Most of these are no HTTP, which Node refuses by itself.
  {
    weight: 1,
    arbitrary: fc.string({ unit: 'binary', maxLength: 30 }).map((text) => `X-Odd: ${text.replace(/[\r\n]/g, '')}`),
  },
);

const contentType = fc.oneof(
  { weight: 8, arbitrary: fc.constant(FORM) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...['Content-Type: application/json', 'Content-Type: text/plain', 'Content-Type:', 'X-None: 1'],
      ...[`${FORM}; charset=utf-7`, `${FORM}; charset=nothing`, `${FORM}; charset="`, 'Content-Type: a/b/c;;'],
      'Content-Type: multipart/form-data; boundary=x',
    ),
  },
);

const oddBody = fc.oneof(
  { weight: 9, arbitrary: fc.constant(undefined) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.constantFrom(
        '{"a":1}',
        '[',
        '"',
        '&&&===',
        '\xff\xfe',
        '\0'.repeat(50),
        'a'.repeat(60_000),
        'a=b&'.repeat(4000),
      ),
      fc.string({ unit: 'binary', maxLength: 60 }),
    ),
  },
);

const method = (usual: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 9, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE') },
  );

/** The bytes of a request that is like `base`, but for what an attacker changed. */
export function attackOn(base: Base, host: string): fc.Arbitrary<Buffer> {
  const parameters = base.parameters.map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return fc
    .record({
      method: method(base.method),
      changes: fc.array(change, { maxLength: 4 }),
      headers: fc.array(oddHeader, { maxLength: 2 }),
      contentType,
      body: oddBody,
    })
    .map((attack) => {
      const changed = attack.changes.reduce((all, apply) => apply(all), parameters).join('&');
      const inQuery = base.method === 'GET';
      const query = inQuery && changed !== '' ? `?${changed.replaceAll(' ', '%20')}` : '';
      const body = attack.body ?? (inQuery ? '' : changed);
      const names = new Set(attack.headers.map((header) => header.split(':')[0]));
      const own = (base.headers ?? []).filter((header) => !names.has(header.split(':')[0]));
      const hasBody = attack.method !== 'GET' && attack.method !== 'HEAD';
      return bytesOf(
        `${attack.method} ${base.path}${query} HTTP/1.1`,
        [
          `Host: ${host}`,
          ...own,
          ...attack.headers,
          ...(hasBody ? [attack.contentType, `Content-Length: ${Buffer.byteLength(body, 'latin1')}`] : []),
        ],
        hasBody ? body : '',
      );
    });
}

/** A request for a path that is near to one that exists. */
export function oddPathFrom(paths: readonly string[], host: string): fc.Arbitrary<Buffer> {
  const suffix = fc.oneof(
    fc.constantFrom(
      ...[
        '',
        '/',
        '//',
        '/..',
        '/../token',
        '/%2e%2e/x',
        ';a=b',
        '%00',
        '%',
        '%ff',
        '/.',
        '?',
        '?a',
        '??',
        '#x',
        '.json',
      ],
      ...[
        '/__proto__',
        '/constructor',
        `/${encodeURIComponent(CANARY)}`,
        `?${CANARY}`,
        '/%0d%0aX-Injected:%201',
        '\\..\\',
      ],
    ),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.webPath(),
  );
  return fc
    .tuple(method('GET'), fc.constantFrom(...paths), suffix, fc.array(oddHeader, { maxLength: 1 }))
    .map(([verb, path, end, headers]) => bytesOf(`${verb} ${path}${end} HTTP/1.1`, [`Host: ${host}`, ...headers], ''));
}

function bytesOf(line: string, headers: readonly string[], body: string): Buffer {
  return Buffer.from([line, ...headers, 'Connection: close', '', body].join('\r\n'), 'latin1');
}
