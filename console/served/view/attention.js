// What an operator must see first: unconfirmed stops, faults, silent machines, members who wait for a second sign.
// In: machines of the floor. Out: one list, the worst first; a press opens the machine.

import { hubNow, monoNow } from '../clock.js';
import { BLANK_MS } from '../fresh.js';
import { state } from '../store.js';
import { agoText } from '../units.js';
import { byId, h, keyed, show, text } from './dom.js';

/** Machines that tell sets rather than a reading each second. */
const BY_SET = new Set(['strength', 'functional']);
const SEVERITY = { error: 1, warning: 3, notice: 5 };

/** All that needs somebody, the worst first. */
function found(machines) {
  const now = hubNow();
  const list = [];
  const add = (rank, machine, kind, words, since) => list.push({ rank, machine: machine.machine, name: machine.name, kind, words, since });
  for (const machine of machines) {
    const stopAt = state.floor.unconfirmed.get(machine.machine);
    if (stopAt) add(0, machine, 'stop', 'Stop not confirmed: go and look', stopAt);
    for (const ticket of machine.tickets) add(SEVERITY[ticket.severity] ?? 5, machine, ticket.severity, ticket.text, ticket.opened_at_ms);
    const until = state.floor.awaiting.get(machine.machine);
    if (until > now) add(2, machine, 'sign', 'A member waits for the second sign', null);
    if (machine.availability === 'unknown') add(2, machine, 'silent', machine.heard_at_ms ? 'Link lost' : 'Never heard', machine.heard_at_ms);
    else if (machine.state === 'active' && !BY_SET.has(machine.kind) && monoNow() - machine.readAt > BLANK_MS) add(4, machine, 'silent', 'Moves, but sends no readings', null);
    if (machine.state === 'safety_stopped') add(1, machine, 'stop', 'Safety key pulled: needs a reset at the machine', null);
    if (machine.availability === 'maintenance' && machine.tickets.length === 0) add(5, machine, 'notice', 'In maintenance', null);
  }
  return list.sort((a, b) => a.rank - b.rank || (a.since ?? 0) - (b.since ?? 0));
}

/** Draws the list. */
export function drawAttention(machines, open) {
  const list = found(machines);
  text(byId('attention-count'), list.length ? String(list.length) : '');
  show(byId('attention-none'), list.length === 0);
  keyed(byId('attention-list'), list, ({ machine, kind, words }) => `${machine}/${kind}/${words}`,
    ({ machine, kind }) => h('li', { data: { kind } }, h('button', { type: 'button', onclick: () => open(machine) }, h('span', { class: 'name' }), h('span', { class: 'since' }), h('span', { class: 'words' }))),
    (node, { name, words, since }) => {
      text(node.querySelector('.name'), name);
      text(node.querySelector('.words'), words);
      text(node.querySelector('.since'), since ? agoText(hubNow() - since) : '');
    });
}
