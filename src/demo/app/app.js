import { assertReachable, createManager, isRefusal, loadConfig, problemOf, signInSilently } from './session.js';
import { hideAnswer, showAnswer, showApp, showNotice, showPerson, showPhase, showTimes } from './view.js';

const config = await loadConfig();
const manager = createManager(config);
let checking;
let outage = false;

/**
 * Asks the server whether the session is still active, in one request at a time. Resolves to `in` or `out`, or to
 * `unknown` if the server does not answer.
 */
function checkSession() {
  checking ??= askServer().finally(() => {
    checking = undefined;
  });
  return checking;
}

async function askServer() {
  try {
    const signedIn = await signInSilently(manager, config.issuer);
    if (outage) showNotice();
    outage = false;
    if (!signedIn) await leave();
    return signedIn ? 'in' : 'out';
  } catch (error) {
    outage = true;
    showNotice(problemOf(error), 'problem');
    if ((await manager.getUser()) === null) showPhase('signed-out');
    return 'unknown';
  }
}

async function leave() {
  if ((await manager.getUser()) !== null) showNotice(`You were signed out. ${config.name} has forgotten your tokens.`);
  await manager.removeUser();
  showPhase('signed-out');
}

function enter(user) {
  showNotice();
  showPerson(user);
  showPhase('signed-in');
}

async function signIn() {
  try {
    await assertReachable(config.issuer);
    await manager.signinRedirect();
  } catch (error) {
    showNotice(problemOf(error), 'problem');
  }
}

async function signOut() {
  try {
    await assertReachable(config.issuer);
    await manager.signoutRedirect({ state: 'signed out' });
  } catch (error) {
    showNotice(problemOf(error), 'problem');
  }
}

async function renew() {
  if ((await checkSession()) === 'in') showNotice('The tokens are new.');
}

/** Calls the API unless the session has ended. The access token itself would stay valid until it expires. */
async function callApi(path) {
  if ((await checkSession()) === 'out') return;
  const user = await manager.getUser();
  try {
    const response = await fetch(config.api + path, { headers: { Authorization: `Bearer ${user.access_token}` } });
    showAnswer(path, response, await response.json());
  } catch {
    hideAnswer();
    showNotice(`The API, at ${config.api}, does not answer. Is it running?`, 'problem');
  }
}

/**
 * Handles the addresses to which the server redirects the browser, and removes their parameters from the address bar.
 * Resolves to whether a sign-in has just ended here.
 */
async function comeBack() {
  const { pathname, search } = location;
  const answer = location.href;
  if (pathname !== '/' || search !== '') history.replaceState(null, '', '/');
  if (pathname === '/callback') {
    await manager.signinRedirectCallback(answer);
    return true;
  }
  if (new URLSearchParams(search).has('state')) {
    await manager.signoutRedirectCallback(answer);
    showNotice('You are signed out of every app.');
  }
  return false;
}

async function start() {
  try {
    if (await comeBack()) return;
  } catch (error) {
    // A callback address from the browser's history means nothing, but a refusal by the server is shown.
    if (isRefusal(error)) {
      showNotice(problemOf(error), 'problem');
      showPhase('signed-out');
      return;
    }
  }
  await checkSession();
}

function listen() {
  document.querySelector('#sign-in').addEventListener('click', signIn);
  document.querySelector('#sign-out').addEventListener('click', signOut);
  document.querySelector('#renew').addEventListener('click', renew);
  for (const button of document.querySelectorAll('[data-call]')) {
    button.addEventListener('click', () => callApi(button.dataset.call));
  }
  // The person may have signed in or out in the other app before they return to this one.
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && checkSession());
  window.addEventListener('focus', checkSession);
  manager.events.addSilentRenewError(checkSession);
  setInterval(showTimes, 1000);
}

if (location.origin === config.origin) {
  showApp(config);
  manager.events.addUserLoaded(enter);
  await manager.clearStaleState();
  await start();
  listen();
} else {
  // Signing in ends at the registered origin, so it must begin there: 127.0.0.1 is not localhost.
  location.replace(config.origin);
}
