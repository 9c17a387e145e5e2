// Past workouts while nothing is trained: the newest ones, each as a file to take away, and a file of one's own device to bring.
// In: the member's list over HTTP, read when the card appears and after an upload. Out: rows with what the hub sealed; words for what went wrong.

import { download, FileError, pastWorkouts, upload } from '../action/files.js';
import { prefs } from '../prefs.js';
import { state, touch } from '../store.js';
import { spanText, valueText, FIELDS } from '../units.js';
import { attr, byId, h, keyed, show, text } from './dom.js';

/** Rows on the card. */
const SHOWN = 5;
const SPORTS = { running: 'Run', walking: 'Walk', cycling: 'Ride', rowing: 'Row', elliptical: 'Elliptical', stairs: 'Stairs', strength: 'Strength', other: 'Workout' };

/** @type {{of: string|null, items: import('../action/files.js').Past[], words: string}} */
const past = { of: null, items: [], words: '' };

byId('upload').addEventListener('change', bring);

/** Draws the card, or hides it; who comes back from a machine finds the workout that just ended. */
export function drawPast() {
  const shown = Boolean(state.member && !state.member.claim);
  show(byId('past'), shown);
  if (!shown) { past.of = null; return; }
  const of = `${state.me?.subject}/${state.workout?.stage === 'sealed'}`;
  if (past.of !== of) { past.of = of; read(); }
  text(byId('past-result'), past.words);
  keyed(byId('past-list'), past.items, ({ workout }) => workout, make, update);
}

async function read() {
  try {
    past.items = await pastWorkouts(SHOWN);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    say(error.message, 'bad');
  }
  touch();
}

function make({ workout }) {
  const button = (kind) => h('button', { type: 'button', class: 'button', data: { kind }, onclick: (event) => take(event.currentTarget, workout, kind) }, kind.toUpperCase());
  return h('li', {}, h('div', { class: 'when' }, h('span', { class: 'day' }), h('span', { class: 'sums hint' })), h('div', { class: 'files' }, button('fit'), button('tcx')));
}

function update(node, { workout, stage, started_at_ms, ended_at_ms, totals }) {
  const day = new Date(started_at_ms).toLocaleString([], { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  text(node.querySelector('.day'), day);
  const sum = (field) => (totals?.[field] ? `${valueText(field, totals[field], prefs.units)} ${FIELDS[field].unit(prefs.units)}` : null);
  const lasted = ended_at_ms ? spanText(ended_at_ms - started_at_ms) : null;
  const words = stage === 'sealed' ? [lasted, sum('distance_m'), sum('energy_kcal'), totals?.sets ? `${totals.sets} sets` : null] : [lasted, 'not sealed yet'];
  text(node.querySelector('.sums'), words.filter(Boolean).join(' · '));
  for (const button of node.querySelectorAll('button')) attr(button, 'aria-label', `${button.dataset.kind.toUpperCase()} file of ${day}`);
  attr(node, 'data-workout', workout);
}

async function take(button, workout, kind) {
  button.disabled = true;
  await told(async () => { await download(workout, kind); say('', null); });
  button.disabled = false;
}

async function bring(event) {
  const field = event.currentTarget;
  const [file] = field.files;
  if (!file) return;
  field.disabled = true;
  say(`Reading ${file.name}…`, null);
  await told(async () => {
    const done = await upload(file);
    const what = `${SPORTS[done.sport] ?? 'Workout'} of ${new Date(done.started_at_ms).toLocaleDateString([], { day: 'numeric', month: 'long', year: 'numeric' })}`;
    const beside = done.overlaps.length > 0 ? ' Another workout of yours runs at the same time: both stay.' : '';
    say(done.fresh ? `${what} added.${beside}` : `${what} was here already.`, done.fresh ? 'good' : null);
    await read();
  });
  field.disabled = false;
  field.value = '';
}

async function told(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    say(error.message, 'bad');
  }
}

function say(words, tone) {
  past.words = words;
  attr(byId('past-result'), 'data-tone', tone);
  touch();
}
