// Is a value still true? In: when it was read, by this page's clock. Out: fresh, stale or blank. Limits are the protocol's:
// stale after 3 s (a heart rate after 5 s), blank after 15 s. A value is never repeated to look alive.

export const STALE_MS = 3000;
export const STALE_HEART_RATE_MS = 5000;
export const BLANK_MS = 15_000;

/**
 * @param {string} field
 * @param {number} ageMs
 * @returns {'fresh'|'stale'|'blank'}
 */
export function freshness(field, ageMs) {
  if (ageMs >= BLANK_MS) return 'blank';
  return ageMs >= (field === 'heart_rate_bpm' ? STALE_HEART_RATE_MS : STALE_MS) ? 'stale' : 'fresh';
}
