// Stopping a machine. In: a machine and the wish. Out: `stop` frames each 250 ms under one id until a result, and
// `state.stops`, which says what is known and no more. Silence never confirms, and a stop never outlives its reason:
// after 10 s without a word it is given up, so that it cannot stop the next person.

import { on, wire } from '../app.js';
import { monoNow } from '../clock.js';
import { change, state } from '../store.js';

const REPEAT_MS = 250;
/** Without a result after this time the person is told to use the machine's own stop; repeating goes on. */
const CONFIRM_MS = 1000;
const GIVE_UP_MS = 10_000;

/**
 * @typedef {object} StopView
 * @property {string} id
 * @property {string} machine
 * @property {'asking'|'stopped'|'refused'|'unconfirmed'|'not_allowed'} result
 * @property {boolean} repeating
 * @property {boolean} sent       whether any repeat left this page
 * @property {number} startedAt   by this page's clock
 * @property {number|null} code   of the machine, where it refused
 * @property {string} [why]       the hub's words, where it did not allow it
 */

/** Asks for a stop. A press while one is pending joins it. */
export function stop(machine, reason = 'pressed on a page') {
  if (state.stops.get(machine)?.repeating) return;
  /** @type {StopView} */
  const view = { id: crypto.randomUUID(), machine, result: 'asking', repeating: true, sent: false, startedAt: monoNow(), code: null };
  change(() => state.stops.set(machine, view));
  repeat(view, { t: 'stop', machine, id: view.id, reason });
}

function repeat(view, frame) {
  if (!view.repeating) return;
  const sinceMs = monoNow() - view.startedAt;
  if (wire.send(frame)) view.sent = true;
  if (sinceMs >= CONFIRM_MS && view.result === 'asking') change(() => { view.result = 'unconfirmed'; });
  if (sinceMs >= GIVE_UP_MS) change(() => { view.repeating = false; });
  else setTimeout(() => repeat(view, frame), REPEAT_MS);
}

/** Takes the stop's end from this page: the person has read it. */
export function dismiss(machine) {
  change(() => { if (!state.stops.get(machine)?.repeating) state.stops.delete(machine); });
}

on('stop_result', ({ machine, id, result, code }) => {
  const view = state.stops.get(machine);
  if (view?.id !== id) return;
  change(() => Object.assign(view, { result, code: code ?? null, repeating: false }));
});

// A stop carries no request number: a refusal names the stop in its detail.
on('error', ({ detail, text }) => {
  const view = [...state.stops.values()].find((pending) => pending.repeating && pending.id === detail);
  if (view) change(() => Object.assign(view, { result: 'not_allowed', repeating: false, why: text }));
});

/** What a stop came to, for the person who asked. @param {StopView} view */
export function stopText(view) {
  switch (view.result) {
    case 'asking': return view.sent ? 'Stopping…' : 'No connection yet: use the machine’s own stop.';
    case 'stopped': return 'Stopped. The machine stands.';
    case 'refused': return `The machine refused${view.code ? ` (code ${view.code})` : ''}: use the machine’s own stop.`;
    case 'not_allowed': return `${view.why} Use the machine’s own stop.`;
    case 'unconfirmed': return view.sent ? 'Not confirmed: use the machine’s own stop. Staff are told.' : 'No connection: use the machine’s own stop.';
  }
}
