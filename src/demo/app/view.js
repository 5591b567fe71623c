import { decodeToken, timeInWords } from './words.js';

const TIMES = [
  ['auth_time', 'Signed in'],
  ['iat', 'Issued'],
  ['exp', 'Expires'],
];

const find = (selector, root = document) => root.querySelector(selector);

/** Writes the configuration into the page. */
export function showApp({ name, api, other }) {
  document.title = `${name} · Latchkey demo`;
  document.documentElement.dataset.app = name;
  find('#other-app').href = other.origin;
  const texts = { name, api, other: other.name };
  for (const element of document.querySelectorAll('[data-text]')) element.textContent = texts[element.dataset.text];
}

/** Shows one of `checking`, `signed-out` and `signed-in`. */
export function showPhase(phase) {
  for (const name of ['checking', 'signed-out', 'signed-in']) find(`#${name}`).hidden = name !== phase;
  if (phase !== 'signed-in') find('#answer').hidden = true;
}

/** Shows a line above everything else, or hides it if there is no text. `kind` is `news` or `problem`. */
export function showNotice(text, kind = 'news') {
  const notice = find('#notice');
  notice.hidden = text === undefined;
  notice.dataset.kind = kind;
  notice.textContent = text ?? '';
}

export function showPerson({ id_token: idToken, access_token: accessToken }) {
  const { claims } = decodeToken(idToken);
  const name = claims.name ?? claims.email ?? claims.sub;
  find('#initial').textContent = name.slice(0, 1).toUpperCase();
  find('#person-name').textContent = name;
  find('#person-email').textContent = claims.email ?? '';
  find('#person-roles').replaceChildren(...(claims.roles ?? []).map((role) => element('li', role)));
  showToken(find('#id-token'), idToken);
  showToken(find('#access-token'), accessToken);
  showTimes();
}

function showToken(panel, token) {
  const { header, claims } = decodeToken(token);
  find('.claims', panel).replaceChildren(...coloured(claims));
  find('.header', panel).replaceChildren(...coloured(header));
  find('.raw', panel).textContent = token;
  const times = TIMES.filter(([claim]) => claim in claims).map(([claim, label]) => {
    const time = element('time', '');
    time.dateTime = new Date(claims[claim] * 1000).toISOString();
    const row = element('div', '');
    row.append(element('dt', label), element('dd', ''));
    row.lastChild.append(time);
    return row;
  });
  find('.times', panel).replaceChildren(...times);
}

/** Updates all relative times. */
export function showTimes() {
  const now = Math.floor(Date.now() / 1000);
  for (const time of document.querySelectorAll('.times time')) {
    time.textContent = timeInWords(Date.parse(time.dateTime) / 1000, now);
  }
}

export function showAnswer(path, response, body) {
  find('#answer').hidden = false;
  find('#answer-path').textContent = `GET ${path}`;
  const status = find('#answer-status');
  status.textContent = `${response.status} ${response.statusText}`;
  status.dataset.kind = response.ok ? 'good' : 'bad';
  find('#answer-body').replaceChildren(...coloured(body));
}

export function hideAnswer() {
  find('#answer').hidden = true;
}

function element(name, text) {
  const created = document.createElement(name);
  created.textContent = text;
  return created;
}

/** Returns a value as indented JSON, in which keys and strings are marked for the style sheet. */
function coloured(value) {
  const pieces = JSON.stringify(value, null, 2).split(/("(?:[^"\\]|\\.)*")/);
  return pieces.map((piece, index) => {
    if (!piece.startsWith('"')) return document.createTextNode(piece);
    const span = element('span', piece);
    span.className = pieces[index + 1]?.startsWith(':') ? 'key' : 'text';
    return span;
  });
}
