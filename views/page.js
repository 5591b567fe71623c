'use strict';

// The one script of all pages, which are complete without it: docs/decisions/one-script.md.

/** Shows and hides a password. It is hidden again before it is sent, so that no browser keeps it as text. */
function toggleWith(button) {
  const field = document.getElementById(button.getAttribute('aria-controls'));
  const show = (isShown) => {
    field.type = isShown ? 'text' : 'password';
    button.textContent = isShown ? 'Hide password' : 'Show password';
  };
  button.addEventListener('click', () => show(field.type === 'password'));
  field.form.addEventListener('submit', () => show(false));
  window.addEventListener('pagehide', () => show(false));
  button.hidden = false;
}

/** Counts a wait down, and holds the form back for as long. Screen readers hear how it begins and how it ends. */
function countDown(notice) {
  const end = Date.now() + Number(notice.dataset.wait) * 1000;
  const form = document.querySelector('main form');
  const [spoken, seen] = [document.createElement('span'), document.createElement('span')];
  spoken.className = 'visually-hidden';
  spoken.textContent = notice.textContent;
  seen.setAttribute('aria-hidden', 'true');
  notice.replaceChildren(spoken, seen);

  const holdBack = (isHeld) => {
    for (const control of form.elements) if (control.type === 'submit') control.disabled = isHeld;
  };
  const tick = () => {
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (seconds > 0) {
      seen.textContent = `Try again in ${clockTime(seconds)}.`;
      return;
    }
    clearInterval(timer);
    notice.textContent = 'You can try again now.';
    holdBack(false);
  };
  const timer = setInterval(tick, 1000);
  holdBack(true);
  tick();
  // A wait is one account's: the address of another may be tried.
  form.addEventListener('input', ({ target }) => {
    if (target.type === 'email') holdBack(target.value === target.defaultValue && Date.now() < end);
  });
}

/** Seconds as a clock shows them: `0:09`, `1:30:00`. */
function clockTime(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

for (const button of document.querySelectorAll('.reveal')) toggleWith(button);
for (const notice of document.querySelectorAll('[data-wait]')) countDown(notice);
// The app's initial is behind its picture.
for (const picture of document.querySelectorAll('.app-mark img')) picture.decode().catch(() => picture.remove());
