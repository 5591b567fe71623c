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
  // Always does both, so that the response time does not reveal whether the person is signed in.
  const [now, seesCookies] = await Promise.all([
    sha256(`${client} ${origin} ${state} ${salt}`),
    document.hasStorageAccess(),
  ]);
  // If the browser blocks the cookie in this frame, a missing cookie does not mean that the person has signed out.
  if (state === undefined) return seesCookies ? 'changed' : 'error';
  return now === hash ? 'unchanged' : 'changed';
}

addEventListener('message', async ({ data, origin, source }) => {
  // A sandboxed page has the origin `null`, so the response could not be addressed to that page alone.
  if (typeof data !== 'string' || origin === 'null') return;
  source.postMessage(await answer(data, origin).catch(() => 'error'), origin);
});
