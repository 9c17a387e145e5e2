// Who this page speaks for: the access token, where it came from and how to get the next one.
// In: a token in the URL's fragment (`#token=`), a pasted one, or the hub's dev login. Out: the token, its claims, a renewal.
// Keeps token and resume ticket in sessionStorage, which ends with the tab; nothing secret goes to localStorage or into a query.

const TOKEN = 'spotter.token';
const TICKET = 'spotter.ticket';
const LOGIN = 'spotter.login';
const get = (key) => { try { return sessionStorage.getItem(key); } catch { return null; } };
const put = (key, value) => {
  try { if (value === null) sessionStorage.removeItem(key); else sessionStorage.setItem(key, value); } catch { /* this tab forgets */ }
};

/** Why a login gave no token. */
export class LoginError extends Error {}

/** Takes `#token=` out of the address, before anybody can read it over a shoulder or send it on. */
export function takeTokenFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = given.get('token');
  if (!found) return;
  useToken(found, null);
  given.delete('token');
  const rest = given.toString();
  history.replaceState(null, '', location.pathname + location.search + (rest ? `#${rest}` : ''));
}

/** The persona that a link of the demo names (`#as=display`), so that one press shows live values. */
export const personaInAddress = () => new URLSearchParams(location.hash.slice(1)).get('as');

/** The token, or null: nobody is logged in. */
export const token = () => get(TOKEN);

/** Uses a token from now on. `login` says how to get the next one, if this page can. */
export function useToken(text, login) {
  put(TOKEN, text.trim());
  put(LOGIN, login ? JSON.stringify(login) : null);
  put(TICKET, null);
}

/** Forgets who this was. */
export function logOut() {
  for (const key of [TOKEN, TICKET, LOGIN]) put(key, null);
}

/** The resume ticket of the last session in this tab. */
export const ticket = () => get(TICKET);
/** @param {string|null} text */
export const keepTicket = (text) => put(TICKET, text);

/** Claims of the token, unverified: only for choosing what to show; the hub decides what is allowed. */
export function claims() {
  try {
    const body = token().split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(body), (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

/** The gyms that the token names, in its order. @returns {string[]} */
export function gyms() {
  const found = claims().gyms ?? [];
  return Array.isArray(found) ? found : [found];
}

/** A name for this tab, so that the hub counts one device once. Not a secret and gone with the tab. */
export function device() {
  const known = get('spotter.device');
  if (known) return known;
  const drawn = `page-${crypto.randomUUID()}`;
  put('spotter.device', drawn);
  return drawn;
}

/**
 * Whom one can log in as here. Only a hub in the `dev` profile offers anybody.
 * @returns {Promise<{name: string, title: string, role: string, subject: string}[]>}
 */
export async function personas() {
  const answer = await fetch('/v1/dev/personas', { signal: AbortSignal.timeout(8000) }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => []) : [];
}

/**
 * Logs in with the built-in issuer of a hub in the `dev` profile.
 * @param {{persona: string} | {role: string, subject: string}} login
 * @throws {LoginError} in words for the person
 */
export async function devLogin(login) {
  let answer;
  try {
    answer = await fetch('/v1/dev/login', {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(login), signal: AbortSignal.timeout(8000),
    });
  } catch {
    throw new LoginError('The hub does not answer. Is it running?');
  }
  if (answer.status === 404) throw new LoginError('This hub offers no dev login: it runs outside the dev profile.');
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok || typeof body.token !== 'string') throw new LoginError(body.text ?? `The hub refused the login (${answer.status}).`);
  useToken(body.token, { role: body.role, subject: body.subject });
  return body;
}

/**
 * A new token for the same subject, where this page can get one.
 * @returns {Promise<boolean>} false: a person must log in
 */
export async function renew() {
  const login = JSON.parse(get(LOGIN) ?? 'null');
  if (!login) return false;
  const kept = ticket();
  try {
    await devLogin(login);
    keepTicket(kept);
    return true;
  } catch {
    return false;
  }
}
