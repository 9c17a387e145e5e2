// One machine on the floor wall. In: a machine of `state.floor` and the time. Out: a tile that says what it is, whether it is free,
// and its live values, greyed when stale and gone when blank. Availability is told by word, shape and colour.

import { hubNow, monoNow } from '../clock.js';
import { freshness } from '../fresh.js';
import { prefs } from '../prefs.js';
import { agoText, FIELDS, NONE, OF_KIND, valueText } from '../units.js';
import { attr, h, text } from './dom.js';
import { icon } from './icon.js';

export const AVAILABILITY_WORDS = { available: 'Free', occupied: 'In use', maintenance: 'Out of order', unknown: 'Unknown' };
export const STATUS_WORDS = {
  booting: 'Starting up', idle: 'Ready', active: 'Moving', paused: 'Paused', finishing: 'Summary', manual: 'In use, no login',
  safety_stopped: 'Safety key pulled', faulted: 'Fault',
};
export const KIND_WORDS = {
  treadmill: 'Treadmill', cross_trainer: 'Cross trainer', step_climber: 'Step climber', stair_climber: 'Stair climber', rower: 'Rower',
  bike: 'Bike', strength: 'Strength', functional: 'Functional', other: 'Machine',
};

/** Values of a tile: one big, two small. */
const CELLS = 3;

/** Makes an empty tile. @param {((id: string) => void)|null} open what a press does, where it does something */
export function makeTile(machine, open) {
  const cell = (_, at) => h('span', { class: at === 0 ? 'value main' : 'value' }, h('span', { class: 'figure' }, NONE), h('span', { class: 'unit' }));
  return h(open ? 'button' : 'article', { class: 'tile', type: open ? 'button' : null, onclick: open ? () => open(machine.machine) : undefined, data: { machine: machine.machine } },
    h('span', { class: 'head' }, h('span', { class: 'name' }), h('span', { class: 'chip' }, h('span', { class: 'mark', 'aria-hidden': 'true' }), h('span', { class: 'word' }))),
    h('span', { class: 'values' }, ...Array.from({ length: CELLS }, cell)), icon(machine.kind),
    h('span', { class: 'foot' }, h('span', { class: 'who' }), h('span', { class: 'age' })));
}

/** Brings a tile up to date. */
export function updateTile(tile, machine) {
  const ageMs = monoNow() - machine.readAt;
  const worst = Object.keys(machine.reading).length === 0 ? 'blank' : freshness('', ageMs);
  attr(tile, 'data-availability', machine.availability);
  attr(tile, 'data-fresh', worst);
  attr(tile, 'data-kind', machine.kind);
  text(tile.querySelector('.name'), machine.name);
  text(tile.querySelector('.chip .word'), AVAILABILITY_WORDS[machine.availability]);
  const said = (OF_KIND[machine.kind] ?? OF_KIND.other).filter((field) => machine.reading[field] !== undefined);
  attr(tile, 'data-says', worst === 'blank' || said.length === 0 ? 'nothing' : 'values');
  tile.querySelectorAll('.value').forEach((cell, at) => updateValue(cell, said[at], machine, ageMs));
  text(tile.querySelector('.who'), machine.member ?? footOf(machine));
  text(tile.querySelector('.age'), worst === 'stale' ? `${Math.round(ageMs / 1000)} s old` : '');
}

function updateValue(cell, field, machine, ageMs) {
  attr(cell, 'data-field', field ?? null);
  if (!field) { text(cell.querySelector('.figure'), cell.classList.contains('main') ? NONE : ''); text(cell.querySelector('.unit'), ''); return; }
  const fresh = freshness(field, ageMs);
  const value = fresh === 'blank' ? undefined : machine.reading[field];
  attr(cell, 'data-fresh', value === undefined ? 'blank' : fresh);
  text(cell.querySelector('.figure'), valueText(field, value, prefs.units));
  text(cell.querySelector('.unit'), value === undefined ? '' : FIELDS[field].unit(prefs.units));
}

function footOf(machine) {
  if (machine.availability === 'unknown') return machine.heard_at_ms ? `Silent for ${agoText(hubNow() - machine.heard_at_ms)}` : 'Never heard';
  if (machine.availability === 'available') return machine.location || KIND_WORDS[machine.kind];
  return STATUS_WORDS[machine.state] ?? KIND_WORDS[machine.kind];
}
