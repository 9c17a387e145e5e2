// Sets of a workout: one bar each, as high as its repetitions, with load and exercise in words. In: sets. Out: a list that reads
// well aloud and looks like a chart. What the machine counted and what the member logged stand beside each other.

import { prefs } from '../prefs.js';
import { loadText } from '../units.js';
import { attr, h, keyed, svg, text } from './dom.js';

const BAR = 64;

/** Draws all sets into a list element. */
export function drawSets(list, sets) {
  const most = Math.max(1, ...sets.map(({ reps, target_reps }) => Math.max(reps, target_reps)));
  keyed(list, sets.slice(-24).map((set, at) => ({ set, at: Math.max(0, sets.length - 24) + at })), ({ at }) => String(at), make, (node, { set }) => update(node, set, most));
}

function make() {
  return h('li', { class: 'set' },
    svg('svg', { viewBox: `0 0 24 ${BAR}`, width: 24, height: BAR, 'aria-hidden': 'true' }, svg('rect', { class: 'target', width: 24, rx: 4 }), svg('rect', { class: 'done', width: 24, rx: 4 })),
    h('span', { class: 'reps' }), h('span', { class: 'load' }), h('span', { class: 'what' }));
}

function update(node, set, most) {
  const [target, done] = node.querySelectorAll('rect');
  for (const [bar, count] of [[target, set.target_reps], [done, set.reps]]) {
    const height = Math.round(count / most * BAR);
    attr(bar, 'height', height);
    attr(bar, 'y', BAR - height);
  }
  text(node.querySelector('.reps'), set.target_reps ? `${set.reps}/${set.target_reps}` : `${set.reps}`);
  text(node.querySelector('.load'), set.load_hg ? loadText(set.load_hg, prefs.units) : set.seconds ? `${set.seconds} s` : '');
  text(node.querySelector('.what'), set.exercise ?? (set.by === 'member' ? 'logged' : 'set'));
  attr(node, 'title', [set.exercise, set.by === 'member' ? 'logged by you' : 'counted by the machine', set.note].filter(Boolean).join(', '));
}
