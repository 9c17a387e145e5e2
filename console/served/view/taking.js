// Taking a machine: the code, the scanner, the wait for the second sign, what is free; and leaving again.
// In: `state.member`, `state.awaiting`, `state.floor`. Out: claims and releases.

import { checkOut, claim, release } from '../action/claim.js';
import { pointsAt } from '../aim.js';
import { hubNow } from '../clock.js';
import { change, state } from '../store.js';
import { byId, h, keyed, show, text } from './dom.js';
import { canScan, scan } from './scan.js';
import { KIND_WORDS } from './tile.js';

/** Kinds of free machines are listed; more than this many names would be a wall. */
const FREE_MAX = 12;

const result = byId('claim-result');
byId('code-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const by = pointsAt(byId('code').value);
  if (!by) { text(result, 'A code has six digits.'); byId('code').focus(); return; }
  await take(by);
});
byId('code').addEventListener('input', () => text(result, ''));
byId('scan').addEventListener('click', async () => {
  text(result, 'Hold the code in front of the camera.');
  const by = await scan(byId('camera'), pointsAt).catch((error) => { text(result, error.message); return null; });
  if (by) await take(by);
});
canScan().then((can) => show(byId('scan'), can));

byId('release').addEventListener('click', release);
byId('checkout').addEventListener('click', checkOut);
byId('another').addEventListener('click', () => { change(() => { state.workout = null; state.stops.clear(); state.commands.clear(); }); byId('code').focus(); });

async function take(by) {
  text(result, 'Asking for the machine…');
  byId('claim').disabled = true;
  await claim(by);
  byId('claim').disabled = false;
  text(result, state.notice ?? '');
  if (!state.notice) byId('code').value = '';
  else { change(() => { state.notice = null; }); byId('code').select(); }
}

/** Draws what belongs to taking and leaving. */
export function drawTaking() {
  const claimed = Boolean(state.member?.claim);
  const awaiting = !claimed && state.awaiting && state.awaiting.until_at_ms > hubNow();
  const ended = !claimed && Boolean(state.workout);
  show(byId('take'), Boolean(state.member) && !claimed && !awaiting && !ended);
  show(byId('awaiting'), Boolean(awaiting));
  if (awaiting) text(byId('awaiting-left'), String(Math.max(0, Math.ceil((state.awaiting.until_at_ms - hubNow()) / 1000))));
  show(byId('leave'), Boolean(state.member));
  show(byId('release'), claimed);
  show(byId('another'), ended);
  show(byId('checkout'), state.member?.visit?.state === 'active');
  drawFree();
}

function drawFree() {
  const free = [...(state.floor?.machines.values() ?? [])].filter(({ availability }) => availability === 'available').sort((a, b) => a.index - b.index);
  show(byId('free'), free.length > 0);
  keyed(byId('free-list'), free.slice(0, FREE_MAX), ({ machine }) => machine, () => h('li', {}, h('span', { class: 'name' }), h('span', { class: 'hint' })), (node, { name, kind, location }) => {
    text(node.querySelector('.name'), name);
    text(node.querySelector('.hint'), location || KIND_WORDS[kind]);
  });
}
