// Setting a target on a machine. In: steps that a person presses. Out: `control` frames, one at a time, and `state.commands`,
// which says truthfully how far each came. Several presses in a row make one command. Nothing is sent again after a break.

import { on, wire } from '../app.js';
import { change, state } from '../store.js';
import { TARGETS } from '../units.js';

/** Presses closer together than this become one command. */
const GATHER_MS = 350;
/** A command that nobody spoke of for this long is unknown. */
const SILENCE_MS = 8000;

/**
 * @typedef {object} CommandView
 * @property {string} id
 * @property {string} key      target name, or `pause`
 * @property {any} target
 * @property {'gathering'|'sent'|'received'|'acknowledged'|'applied'|'refused'|'expired'|'lost'|'unknown'} result
 * @property {string|null} why
 */

const FINAL = new Set(['applied', 'refused', 'expired', 'lost', 'unknown']);
/** @type {Record<string, number>} */
const timers = {};

/** What may be set on the machine in hand: target name and its least and most. @returns {[string, [number, number]][]} */
export function controllable() {
  const ranges = state.machine?.ranges ?? {};
  return Object.keys(TARGETS).filter((key) => ranges[key]).map((key) => [key, ranges[key]]);
}

/** The value that a step starts from: what was asked for last, else what the machine shows. */
export function basis(key) {
  const command = state.commands.get(key);
  if (command && !['refused', 'expired', 'lost', 'unknown'].includes(command.result)) return command.target[key];
  return state.workout?.series.latest(TARGETS[key].field)?.value ?? state.machine?.machine.reading[TARGETS[key].field] ?? null;
}

/** One step up or down, inside the machine's ranges. */
export function step(key, direction) {
  const [low, high] = state.machine.ranges[key];
  const from = basis(key) ?? low;
  const size = TARGETS[key].step;
  const to = Math.min(high, Math.max(low, Math.round((from + direction * size) / size) * size));
  const command = { id: crypto.randomUUID(), key, target: { [key]: to }, result: 'gathering', why: null };
  change(() => state.commands.set(key, command));
  clearTimeout(timers[key]);
  timers[key] = setTimeout(() => send(command), GATHER_MS);
}

/** Slow down and stand: what every machine takes. */
export function pause() {
  const command = { id: crypto.randomUUID(), key: 'pause', target: 'pause', result: 'gathering', why: null };
  change(() => state.commands.set('pause', command));
  send(command);
}

/** Takes a coach's proposal. The hub checks it again. */
export function accept({ proposal, target }) {
  const key = target === 'pause' ? 'pause' : Object.keys(target)[0];
  const command = { id: crypto.randomUUID(), key, target, result: 'gathering', why: null };
  change(() => { state.commands.set(key, command); state.workout.proposals.delete(proposal); });
  send(command, proposal);
}

async function send(command, proposal = null) {
  const claim = state.member?.claim;
  if (!claim) return;
  change(() => { command.result = 'sent'; });
  clearTimeout(timers[command.key]);
  timers[command.key] = setTimeout(() => settle(command, 'unknown', 'No answer came.'), SILENCE_MS);
  try {
    await wire.request({ t: 'control', id: command.id, machine: claim.machine, fence: claim.claim.fence, target: command.target, ...(proposal ? { proposal } : {}) });
  } catch (error) {
    if (error.name === 'link_lost') { if (!FINAL.has(command.result) && !wire.live) settle(command, 'unknown', 'The connection was lost.'); }
    else settle(command, 'refused', error.detail ? `${error.message} ${error.detail}` : error.message);
  }
}

function settle(command, result, why = null) {
  if (FINAL.has(command.result) && result !== 'applied') return;
  change(() => Object.assign(command, { result, why }));
}

on('control_result', ({ id, result, code }) => {
  const command = [...state.commands.values()].find((known) => known.id === id);
  if (!command) return;
  if (FINAL.has(result)) clearTimeout(timers[command.key]);
  settle(command, result, code && code !== 1 ? `The machine’s code is ${code}.` : null);
});

const TEXTS = {
  gathering: '…', sent: 'Sent', received: 'Received by the machine’s gateway', acknowledged: 'Acknowledged by the machine',
  applied: 'Applied', refused: 'Refused', expired: 'Too late, not carried out', lost: 'Somebody at the console took over',
  unknown: 'Not known whether it was carried out',
};

/** What is known of a command. @param {CommandView} command */
export const commandText = ({ result, why }) => (why ? `${TEXTS[result]}. ${why}` : TEXTS[result]);
