// What this browser likes: theme and units. Nothing else is kept in localStorage, and nothing here is a secret.
// In: clicks on the buttons with `data-pref`. Out: `data-theme` on the root, `prefs.units`, a `change` callback.

const read = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const write = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode: holds for this page only */ } };

const english = /^en-(US|GB|LR|MM)\b/.test(navigator.language ?? '');

/** @type {{units: 'km'|'mi', theme: 'dark'|'light'|null}} */
export const prefs = {
  units: read('spotter.units') === 'mi' || (read('spotter.units') === null && english) ? 'mi' : 'km',
  theme: /** @type {'dark'|'light'|null} */ (read('spotter.theme')),
};

/** Whether the page is dark now, by choice or by the system. */
export const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';

/** Walls are dark unless somebody chose otherwise. */
export function preferDark() {
  if (!prefs.theme) document.documentElement.dataset.theme = 'dark';
}

/**
 * Wires every `[data-pref]` button of the page.
 * @param {() => void} changed called after a choice
 */
export function wirePrefs(changed) {
  for (const button of document.querySelectorAll('[data-pref]')) {
    button.addEventListener('click', () => {
      if (/** @type {HTMLElement} */ (button).dataset.pref === 'units') setUnits(prefs.units === 'km' ? 'mi' : 'km');
      else setTheme(isDark() ? 'light' : 'dark');
      label();
      changed();
    });
  }
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', label);
  label();
}

function setUnits(units) {
  prefs.units = units;
  write('spotter.units', units);
}

function setTheme(theme) {
  prefs.theme = theme;
  document.documentElement.dataset.theme = theme;
  write('spotter.theme', theme);
}

function label() {
  for (const button of document.querySelectorAll('[data-pref="units"]')) {
    button.textContent = prefs.units;
    button.setAttribute('aria-label', prefs.units === 'km' ? 'Units: kilometres. Change to miles' : 'Units: miles. Change to kilometres');
  }
  for (const button of document.querySelectorAll('[data-pref="theme"]')) {
    button.setAttribute('aria-label', isDark() ? 'Dark. Change to light' : 'Light. Change to dark');
    button.textContent = isDark() ? '☾' : '☀';
  }
}
