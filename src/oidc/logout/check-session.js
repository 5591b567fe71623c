// The OP iframe's script (OpenID Connect Session Management 1.0 §3.2), served by session-management.ts.
const { cookie } = document.currentScript.dataset;

function browserState() {
  const pair = document.cookie.split('; ').find((each) => each.startsWith(`${cookie}=`));
  return pair?.slice(cookie.length + 1);
}

async function sha256(text) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return btoa(String.fromCharCode(...digest))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

async function answer(message, origin) {
  const [, client, hash, salt] = /^(.+) ([\w-]+)\.([\w-]+)$/.exec(message) ?? [];
  if (client === undefined) return 'error';
  const state = browserState();
  // Both for every question, so that its answer takes as long for who is signed in as for who is not.
  const [now, seesCookies] = await Promise.all([
    sha256(`${client} ${origin} ${state} ${salt}`),
    document.hasStorageAccess(),
  ]);
  // Nobody may be signed out because the browser keeps the cookie from this frame.
  if (state === undefined) return seesCookies ? 'changed' : 'error';
  return now === hash ? 'unchanged' : 'changed';
}

addEventListener('message', async ({ data, origin, source }) => {
  // A sandboxed page has no origin that an answer could be kept to.
  if (typeof data !== 'string' || origin === 'null') return;
  source.postMessage(await answer(data, origin).catch(() => 'error'), origin);
});
