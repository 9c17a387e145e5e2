// Two clocks: this page's monotonic one, by which values grow old, and the hub's, by which readings have their time.
// In: `server_at_ms` of `welcome` and `pong`. Out: `hubNow()`. A late answer can only make the hub look earlier, so the
// largest difference heard within a connection is the best one.

let offsetMs = Date.now() - performance.now();
let heard = false;

/** This page's monotonic clock, milliseconds. It does not jump when somebody sets the wall clock. */
export const monoNow = () => performance.now();

/** Hub time in UTC milliseconds, as well as this page knows it. */
export const hubNow = () => performance.now() + offsetMs;

/** Takes hub time from a frame that has just come in. */
export function heardHub(server_at_ms, fresh = false) {
  const offset = server_at_ms - performance.now();
  offsetMs = fresh || !heard ? offset : Math.max(offsetMs, offset);
  heard = true;
}
