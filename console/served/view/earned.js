// Sets, points, what happened, and the heart-rate ceiling. In: `state.workout`, `state.feed`. Out: lists, and the two small forms.

import { logSet, setCeiling } from '../action/claim.js';
import { prefs } from '../prefs.js';
import { state, tell } from '../store.js';
import { attr, byId, h, keyed, show, text } from './dom.js';
import { drawSets } from './sets.js';

const LB_HG = 4.5359237;

byId('ceiling-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const bpm = Number(byId('ceiling').value);
  if (bpm >= 60 && bpm <= 250) await setCeiling(bpm);
});
byId('ceiling-clear').addEventListener('click', () => { byId('ceiling').value = ''; setCeiling(null); });

byId('set-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = event.currentTarget;
  const given = new FormData(form);
  const load = Number(given.get('load') || 0);
  const set = {
    set: (state.workout?.sets.length ?? 0) + 1, exercise: String(given.get('exercise') ?? '').trim() || null, reps: Number(given.get('reps')),
    load_hg: Math.round(prefs.units === 'mi' ? load * LB_HG : load * 10),
  };
  if (await logSet(crypto.randomUUID(), set, Date.now())) form.reset();
  else tell('The set was not logged. Try again.', 'bad');
});

/** Draws all of it. */
export function drawEarned() {
  const { workout } = state;
  if (!workout) return;
  const held = Boolean(state.member?.claim);
  text(byId('points'), String(workout.points));
  keyed(byId('feed'), state.feed.slice(0, 6), ({ at_ms, text: words }) => `${at_ms}/${words}`, () => h('li', {}, h('time', {}), h('span', {})), (node, entry) => {
    attr(node, 'data-tone', entry.tone);
    text(node.querySelector('time'), new Date(entry.at_ms).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
    text(node.querySelector('span'), entry.text);
  });
  show(byId('sets-card'), workout.sets.length > 0 || held);
  drawSets(byId('sets'), workout.sets);
  show(byId('log-set'), held);
  text(byId('load-label'), prefs.units === 'mi' ? 'Load, lb' : 'Load, kg');
  text(byId('ceiling-hint'), workout.ceiling_bpm ? `Set to ${workout.ceiling_bpm}. It tells you and the coach who watches; it never acts on the machine.`
    : 'None set. It tells you and the coach who watches; it never acts on the machine.');
}
