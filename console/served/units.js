// Fields of a reading as people read them: FTMS integers in, words with units out, in kilometres or miles.
// Names of fields are the protocol's (`field.rs`); this table is the only place of the pages that knows their scale.

const MILE_KM = 1.609344;
/** Shown where there is no value. */
export const NONE = '–';

const fixed = (digits) => (value) => value.toFixed(digits);
const minutes = (seconds) => (Number.isFinite(seconds) && seconds > 0 && seconds < 6000
  ? `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, '0')}` : NONE);
const clock = (seconds) => (seconds >= 3600
  ? `${Math.floor(seconds / 3600)}:${String(Math.floor(seconds / 60) % 60).padStart(2, '0')}:${String(seconds % 60).padStart(2, '0')}`
  : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
const same = (unit) => () => unit;

/**
 * @typedef {object} Shown
 * @property {string} label
 * @property {(system: string) => string} unit
 * @property {(value: number, system: string) => number} scale   wire integer to the unit shown
 * @property {(shown: number) => string} format
 * @property {number} [span]      least height of a chart, in the unit shown
 * @property {boolean} [lowIsUp]   less is more, as with a pace
 */

/** @type {Record<string, Shown>} */
export const FIELDS = {
  speed_centikmh: { span: 2, label: 'Speed', unit: (s) => (s === 'mi' ? 'mph' : 'km/h'), scale: (v, s) => v / 100 / (s === 'mi' ? MILE_KM : 1), format: fixed(1) },
  pace: { label: 'Pace', unit: (s) => (s === 'mi' ? '/mi' : '/km'), scale: (v, s) => (v > 30 ? 360_000 / v * (s === 'mi' ? MILE_KM : 1) : NaN), format: minutes, lowIsUp: true },
  cadence_half_rpm: { span: 20, label: 'Cadence', unit: same('rpm'), scale: (v) => v / 2, format: fixed(0) },
  power_w: { span: 60, label: 'Power', unit: same('W'), scale: (v) => v, format: fixed(0) },
  heart_rate_bpm: { span: 20, label: 'Heart rate', unit: same('bpm'), scale: (v) => v, format: fixed(0) },
  distance_m: { label: 'Distance', unit: (s) => (s === 'mi' ? 'mi' : 'km'), scale: (v, s) => v / 1000 / (s === 'mi' ? MILE_KM : 1), format: fixed(2) },
  energy_kcal: { label: 'Energy', unit: same('kcal'), scale: (v) => v, format: fixed(0) },
  elapsed_s: { label: 'Time', unit: same(''), scale: (v) => v, format: clock },
  incline_permille: { label: 'Incline', unit: same('%'), scale: (v) => v / 10, format: fixed(1) },
  resistance_tenths: { label: 'Resistance', unit: same(''), scale: (v) => v / 10, format: (v) => (Number.isInteger(v) ? String(v) : v.toFixed(1)) },
  pace_s_per_500m: { span: 20, label: 'Pace', unit: same('/500 m'), scale: (v) => (v > 0 ? v : NaN), format: minutes, lowIsUp: true },
  stroke_rate_half_spm: { span: 8, label: 'Stroke rate', unit: same('spm'), scale: (v) => v / 2, format: fixed(0) },
  stroke_count: { label: 'Strokes', unit: same(''), scale: (v) => v, format: fixed(0) },
  step_per_min: { span: 20, label: 'Step rate', unit: same('/min'), scale: (v) => v, format: fixed(0) },
  step_count: { label: 'Steps', unit: same(''), scale: (v) => v, format: fixed(0) },
  floor_count: { label: 'Floors', unit: same(''), scale: (v) => v, format: fixed(0) },
};

/** The wire field behind a shown one: pace per kilometre is speed seen otherwise. */
export const wireField = (field) => (field === 'pace' ? 'speed_centikmh' : field);

/** A value in words without its unit. */
export function valueText(field, value, system) {
  if (value === undefined || value === null) return NONE;
  const shown = FIELDS[field].scale(value, system);
  return Number.isFinite(shown) ? FIELDS[field].format(shown) : NONE;
}

/** A value in words with its unit. */
export const withUnit = (field, value, system) => `${valueText(field, value, system)} ${FIELDS[field].unit(system)}`.trim();

/** What a tile shows of a kind of machine: the first three that it says; the very first is the big one. */
export const OF_KIND = {
  treadmill: ['speed_centikmh', 'incline_permille', 'heart_rate_bpm', 'distance_m', 'power_w', 'elapsed_s', 'energy_kcal'],
  bike: ['power_w', 'cadence_half_rpm', 'heart_rate_bpm', 'speed_centikmh', 'distance_m', 'elapsed_s'],
  rower: ['pace_s_per_500m', 'stroke_rate_half_spm', 'heart_rate_bpm', 'power_w', 'distance_m', 'elapsed_s'],
  cross_trainer: ['power_w', 'step_per_min', 'heart_rate_bpm', 'speed_centikmh', 'distance_m', 'elapsed_s'],
  step_climber: ['step_per_min', 'floor_count', 'heart_rate_bpm', 'power_w', 'elapsed_s'],
  stair_climber: ['step_per_min', 'floor_count', 'heart_rate_bpm', 'power_w', 'elapsed_s'],
  strength: ['power_w', 'heart_rate_bpm', 'energy_kcal', 'elapsed_s'],
  functional: ['power_w', 'heart_rate_bpm', 'energy_kcal', 'elapsed_s'],
  other: ['power_w', 'speed_centikmh', 'heart_rate_bpm', 'distance_m', 'elapsed_s'],
};

/** Fields of a target on the wire, with the field they move and one step. */
export const TARGETS = {
  speed_centikmh: { field: 'speed_centikmh', step: 50, label: 'Speed' },
  incline_permille: { field: 'incline_permille', step: 5, label: 'Incline' },
  resistance_tenths: { field: 'resistance_tenths', step: 10, label: 'Resistance' },
  power_w: { field: 'power_w', step: 10, label: 'Power' },
};

/** A target (`{"speed_centikmh": 900}` or `"pause"`) in words. */
export function targetText(target, system) {
  if (target === 'pause') return 'Pause';
  const [field, value] = Object.entries(target)[0];
  return TARGETS[field] ? `${TARGETS[field].label} ${withUnit(field, value, system)}` : field;
}

/** How long ago, in words. */
export function agoText(ms) {
  if (ms < 1500) return 'now';
  if (ms < 60_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.round(ms / 60_000) % 60} min`;
}

/** A load of 0.1 kg steps, in kilograms or pounds. */
export const loadText = (load_hg, system) => (system === 'mi' ? `${Math.round(load_hg / 10 * 2.20462)} lb` : `${load_hg / 10} kg`);

/** A span of time as a clock. */
export const spanText = (ms) => clock(Math.max(0, Math.round(ms / 1000)));
