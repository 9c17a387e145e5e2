// One machine in the hands of an operator: what it says, its tickets, the code on its screen, a stop, and vouching for a member.
// In: the machine's room. Out: a dialog. The room is left when the dialog closes.

import { dismiss, stop, stopText } from '../action/stop.js';
import { approve, takeBack } from '../action/claim.js';
import { wire } from '../app.js';
import { hubNow } from '../clock.js';
import { change, state, touch } from '../store.js';
import { agoText } from '../units.js';
import { attr, byId, h, keyed, show, text } from './dom.js';
import { AVAILABILITY_WORDS, KIND_WORDS, STATUS_WORDS } from './tile.js';

/** How often the room is asked anew while the dialog is open: the code on the screen lives for 60 s and no event tells of it. */
const ASK_EVERY_MS = 3000;
let shown = null;
let timer = 0;

const dialog = byId('detail');
dialog.addEventListener('close', () => {
  clearInterval(timer);
  wire.unwatch(`machine:${shown}`);
  dismiss(shown);
  change(() => { state.machine = null; });
  shown = null;
});
byId('detail-stop').addEventListener('click', () => stop(shown, 'staff, from the floor page'));
byId('detail-approve').addEventListener('click', () => approve(shown));
byId('detail-release').addEventListener('click', () => takeBack(shown, state.machine?.claim?.fence));

/** Opens the dialog for a machine. */
export function openDetail(machine) {
  shown = machine;
  wire.watch(`machine:${machine}`);
  dialog.showModal();
  timer = setInterval(() => wire.again(`machine:${machine}`), ASK_EVERY_MS);
  touch();
}

/** A machine that is known has a link; one that is unknown was heard some time ago, or never. */
function linkOf({ availability, heard_at_ms }) {
  if (availability !== 'unknown' && availability !== 'maintenance') return 'connected';
  return heard_at_ms ? `heard ${agoText(hubNow() - heard_at_ms)} ago` : 'never heard';
}

/** Brings the dialog up to date, if it is open. */
export function drawDetail() {
  const machine = shown && state.floor?.machines.get(shown);
  if (!machine) return;
  text(byId('detail-name'), machine.name);
  attr(byId('detail-chip'), 'data-availability', machine.availability);
  text(byId('detail-chip').querySelector('.word'), AVAILABILITY_WORDS[machine.availability]);
  const facts = [
    ['Kind', KIND_WORDS[machine.kind]], ['Where', machine.location || '–'], ['Says', STATUS_WORDS[machine.state] ?? 'nothing'],
    ['Link', linkOf(machine)],
    ['Claimed', state.machine?.claim ? 'yes' : 'no'], ['Code on its screen', state.machine?.machine.machine === shown ? state.machine.code ?? 'none' : '–'],
  ];
  keyed(byId('detail-facts'), facts, ([name]) => name, ([name]) => h('div', {}, h('dt', {}, name), h('dd', { data: { fact: name } })), (node, [, value]) => text(node.querySelector('dd'), value));
  keyed(byId('detail-tickets'), machine.tickets, ({ ticket }) => ticket, ({ severity }) => h('li', { data: { kind: severity } }), (node, { text: words, opened_at_ms }) => text(node, `${words} · ${agoText(hubNow() - opened_at_ms)}`));
  show(byId('detail-release'), Boolean(state.machine?.claim));
  text(byId('detail-notice'), state.notice ?? '');
  show(byId('detail-approve'), (state.floor.awaiting.get(shown) ?? 0) > hubNow());
  const view = state.stops.get(shown);
  text(byId('detail-stop-result'), view ? stopText(view) : '');
  attr(byId('detail-stop-result'), 'data-result', view?.result ?? null);
}
