// The running workout: the machine's name and state, the values of now, what is saved, and the charts.
// In: `state.workout` and `state.machine`. Out: figures that grey when stale and go when blank, and a *saved* mark that
// appears only for what the hub says is stored.

import { hubNow } from '../clock.js';
import { freshness } from '../fresh.js';
import { prefs } from '../prefs.js';
import { state } from '../store.js';
import { FIELDS, NONE, spanText, valueText, wireField } from '../units.js';
import { Chart } from './chart.js';
import { attr, byId, h, keyed, show, text } from './dom.js';
import { KIND_WORDS, STATUS_WORDS } from './tile.js';

/** Charts in order; a field is drawn once a reading has it. Heart rate has its place from the start. */
const CHARTS = ['heart_rate_bpm', 'power_w', 'pace_s_per_500m', 'speed_centikmh', 'cadence_half_rpm', 'step_per_min'];
const VALUES = ['heart_rate_bpm', 'power_w', 'speed_centikmh', 'pace', 'pace_s_per_500m', 'cadence_half_rpm', 'stroke_rate_half_spm', 'step_per_min', 'incline_permille', 'distance_m', 'energy_kcal', 'floor_count'];
/** Kinds whose speed is better read as time for a distance. */
const PACED = new Set(['treadmill']);
/** Kinds that tell sets rather than a reading each second: their sets come first. */
const BY_SET = new Set(['strength', 'functional']);
/** Values shown at once. */
const VALUES_MAX = 8;
/** Unstored readings older than this are worth a warning: the store is usually a second behind. */
const LATE_MS = 10_000;

const STAGE_WORDS = {
  created: 'Waiting for the first reading', live: 'Live', paused: 'Paused', interrupted: 'Link lost: the machine keeps your readings',
  reconciling: 'Catching up', ended: 'Ended, not everything is saved yet', sealed: 'Finished and saved',
};
/** @type {Map<string, Chart>} */
const charts = new Map();

/** Draws the workout, or hides it. */
export function drawTraining() {
  const { workout } = state;
  show(byId('training'), Boolean(workout));
  if (!workout) return;
  const machine = state.machine?.machine;
  if (machine) text(byId('machine-name'), machine.name);
  const status = machine ? STATUS_WORDS[machine.state] ?? (machine.availability === 'unknown' ? 'Nobody knows what the machine does' : KIND_WORDS[machine.kind]) : null;
  text(byId('machine-state'), [STAGE_WORDS[workout.stage], workout.stage === 'live' ? status : null, spanText(endOf(workout) - workout.started_at_ms)].filter(Boolean).join(' · '));
  drawValues(workout, machine);
  drawCharts(workout, machine?.kind);
  drawSaved(workout.series.saved());
}

const endOf = (workout) => (workout.stage === 'sealed' || workout.stage === 'ended' ? workout.series.newestAt() || workout.started_at_ms : hubNow());

function drawValues({ series, stage }, machine) {
  const fields = VALUES.filter((field) => (field === 'pace' ? PACED.has(machine?.kind) && series.knows('speed_centikmh') : (field === 'heart_rate_bpm' && !BY_SET.has(machine?.kind)) || series.knows(field))).slice(0, VALUES_MAX);
  keyed(byId('values'), fields, (field) => field,
    (field) => h('div', { class: 'now-value', data: { field } }, h('span', { class: 'label' }, FIELDS[field].label), h('span', { class: 'figure' }), h('span', { class: 'unit' }), h('span', { class: 'age' })),
    (node, field) => updateValue(node, field, series.latest(wireField(field)), stage));
}

/** A sum, such as a distance, stays true after the end; a rate does not. */
const SUMS = new Set(['distance_m', 'energy_kcal', 'floor_count']);

function updateValue(node, field, latest, stage) {
  const ageMs = latest ? hubNow() - latest.at : Infinity;
  const over = (stage === 'ended' || stage === 'sealed') && SUMS.has(field);
  const fresh = over ? 'fresh' : freshness(field, ageMs);
  const value = fresh === 'blank' ? undefined : latest?.value;
  attr(node, 'data-fresh', fresh);
  text(node.querySelector('.figure'), valueText(field, value, prefs.units));
  text(node.querySelector('.unit'), FIELDS[field].unit(prefs.units));
  text(node.querySelector('.age'), fresh === 'stale' ? `${Math.round(ageMs / 1000)} s old` : '');
}

function drawCharts({ series, ceiling_bpm }, kind) {
  const lifts = BY_SET.has(kind);
  const fields = CHARTS.filter((field) => (field === 'heart_rate_bpm' && !lifts) || series.knows(field)).slice(0, 4);
  attr(byId('training'), 'data-lifts', lifts);
  show(byId('charts'), fields.length > 0);
  keyed(byId('charts'), fields, (field) => field, (field) => {
    if (!charts.has(field)) charts.set(field, new Chart(field));
    return charts.get(field).element;
  }, (_node, field) => charts.get(field).take(series, field === 'heart_rate_bpm' ? ceiling_bpm : null));
  attr(byId('charts'), 'data-missing', series.missing());
}

function drawSaved({ seen, saved, waiting, to, waitingSince, records }) {
  const late = waitingSince !== null && hubNow() - waitingSince > LATE_MS;
  const stage = seen === 0 && records > 0 ? 'records' : saved === 0 ? 'none' : late ? 'late' : waiting === 0 ? 'all' : 'some';
  const mark = byId('saved');
  attr(mark, 'data-saved', stage);
  attr(mark, 'data-seen', seen);
  attr(mark, 'data-stored', saved);
  const at = to === null ? NONE : new Date(to).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  const words = {
    records: `${records} records saved`, none: seen === 0 ? 'Nothing to save yet' : 'Not saved yet',
    all: `Saved to ${at}`, some: `Saved to ${at}`, late: `Saved to ${at}, ${waiting} wait`,
  };
  text(mark.querySelector('.word'), words[stage]);
}
