// What a client does after a close, from the number alone, so that a reason of a later hub is treated rightly.
// In: a WebSocket close code. Out: resume, log in or stop, and the first back-off. Source: docs/ERRORS.md, close catalogue.

/** @typedef {'resume'|'log_in'|'stop'} AfterClose */

/** First back-off by reason, milliseconds; reasons that are not listed wait `DEFAULT_BACKOFF_MS`. */
const BACKOFF_MS = { 4000: 100, 4001: 1000, 4002: 500, 4003: 1000, 4004: 2000, 4005: 2000, 4006: 5000, 4007: 500, 4103: 1000 };
const DEFAULT_BACKOFF_MS = 500;
/** However often it fails, somebody waits for this page: never longer than this. */
const BACKOFF_MAX_MS = 15_000;

const TEXTS = {
  4100: 'Your login has run out.',
  4101: 'Your login was revoked.',
  4102: 'Your login could not be verified.',
  4103: 'The hub did not hear a login in time.',
  4200: 'This page and the hub do not understand each other. Reload the page.',
  4201: 'A message was too large. Reload the page.',
  4202: 'This page sent too much. Reload it in a while.',
  4203: 'This page may not connect here.',
  4204: 'This page and the hub do not understand each other. Reload the page.',
  4205: 'Too many pages of yours are open. Close one, then reload.',
};

/**
 * What to do after a close.
 * @param {number} code 1006 where the network went away
 * @returns {AfterClose}
 */
export function afterClose(code) {
  if (code >= 4200 && code < 4300) return 'stop';
  if (code >= 4100 && code < 4200) return 'log_in';
  return 'resume';
}

/** @param {number} code */
export const closeText = (code) => TEXTS[code] ?? 'The connection was closed.';

/**
 * How long to wait before connecting again: doubled for each failure, then spread over its upper half, so that a gym full of
 * phones does not come back in the same instant.
 * @param {number} code
 * @param {number} failures attempts since a session last stood
 * @param {() => number} random 0 to 1
 */
export function backoffMs(code, failures, random = Math.random) {
  const whole = Math.min(BACKOFF_MAX_MS, (BACKOFF_MS[code] ?? DEFAULT_BACKOFF_MS) * 2 ** Math.min(failures, 10));
  return Math.round(whole * (0.5 + random() / 2));
}
