// Steppers for what the machine lets itself be told, and the coach's proposals. In: ranges, commands, proposals.
// Out: presses to `action/control.js`; under each stepper what is truly known of the last command, read aloud as it changes.

import { accept, basis, commandText, controllable, pause, step } from '../action/control.js';
import { prefs } from '../prefs.js';
import { change, state } from '../store.js';
import { TARGETS, targetText, withUnit } from '../units.js';
import { attr, byId, h, keyed, show, text } from './dom.js';

/** Draws steppers and proposals. */
export function drawControls() {
  const held = state.member?.claim;
  const rows = held?.may_control ? controllable() : [];
  show(byId('control'), Boolean(held));
  text(byId('control-hint'), hintOf(held, rows));
  keyed(byId('control-list'), [...rows, ...(held?.may_control && rows.length ? [['pause', null]] : [])], ([key]) => key, makeRow, updateRow);
  drawProposals(held);
}

function hintOf(held, rows) {
  if (!held) return '';
  if (!held.may_control) return 'You can stop this machine from here, not control it.';
  if (rows.length === 0) return 'This machine takes no targets from here.';
  return 'You start the machine yourself. Nothing here starts a belt.';
}

function makeRow([key]) {
  const result = h('p', { class: 'result', role: 'status' });
  if (key === 'pause') return h('li', { class: 'stepper' }, h('button', { type: 'button', class: 'button', onclick: pause }, 'Pause'), result);
  const { label } = TARGETS[key];
  return h('li', { class: 'stepper', data: { target: key } }, h('span', { class: 'label' }, label),
    h('button', { type: 'button', class: 'button round', 'aria-label': `${label} down`, onclick: () => step(key, -1) }, '−'),
    h('span', { class: 'figure' }),
    h('button', { type: 'button', class: 'button round', 'aria-label': `${label} up`, onclick: () => step(key, 1) }, '+'),
    result);
}

function updateRow(node, [key, range]) {
  const command = state.commands.get(key);
  const result = node.querySelector('.result');
  text(result, command ? commandText(command) : range ? `${withUnit(key, range[0], prefs.units)} to ${withUnit(key, range[1], prefs.units)}` : '');
  attr(result, 'data-result', command?.result ?? null);
  if (!range) return;
  const value = basis(key);
  text(node.querySelector('.figure'), value === null ? '–' : withUnit(key, value, prefs.units));
  const [down, up] = node.querySelectorAll('button');
  down.disabled = value !== null && value <= range[0];
  up.disabled = value !== null && value >= range[1];
}

function drawProposals(held) {
  const list = held ? [...(state.workout?.proposals.values() ?? [])] : [];
  show(byId('proposals'), list.length > 0);
  keyed(byId('proposal-list'), list, ({ proposal }) => proposal, (proposal) => h('li', {},
    h('p', {}, h('strong', { class: 'target' }), h('span', { class: 'why' })),
    h('div', { class: 'row' },
      h('button', { type: 'button', class: 'button primary', disabled: !held?.may_control, onclick: () => accept(proposal) }, 'Accept'),
      h('button', { type: 'button', class: 'button', onclick: () => change(() => state.workout.proposals.delete(proposal.proposal)) }, 'Not now'))),
  (node, { target, text: why }) => {
    text(node.querySelector('.target'), targetText(target, prefs.units));
    text(node.querySelector('.why'), why ? ` ${why}` : '');
  });
}
