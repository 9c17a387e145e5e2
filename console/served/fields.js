// Fields of a reading in order of their bits, as `field.rs` of the protocol numbers them; needed only to unpack columns.
// In: `Columns` of a ring. Out: rows with readings by field name.

const NAMES = [
  'speed_centikmh', 'cadence_half_rpm', 'power_w', 'heart_rate_bpm', 'distance_m', 'energy_kcal', 'elapsed_s', 'incline_permille',
  'resistance_tenths', 'pace_s_per_500m', 'stroke_rate_half_spm', 'stroke_count', 'step_count', 'step_per_min', 'stride_tenths', 'contact',
  'avg_speed_centikmh', 'avg_cadence_half_rpm', 'avg_power_w', 'avg_stroke_rate_half_spm', 'avg_step_rate', 'avg_pace_s_per_500m',
  'energy_per_hour_kcal', 'energy_per_minute_kcal', 'ramp_angle_decideg', 'elev_gain_dm', 'elev_loss_dm', 'met_tenths', 'remaining_s',
  'floor_count', 'force_on_belt_n',
];

/**
 * Rows of columns of differences; sums start at zero.
 * @param {{mask: number, seq: number[], dev_ms: number[], values: number[][]}} columns
 * @returns {{seq: number, dev_ms: number, reading: Record<string, number>}[]}
 */
export function unpack({ mask, seq, dev_ms, values }) {
  const names = NAMES.filter((_, bit) => (mask & (1 << bit)) !== 0);
  const sums = names.map(() => 0);
  let at = 0, number = 0;
  return seq.map((step, row) => {
    number += step;
    at += dev_ms[row];
    names.forEach((_, column) => { sums[column] += values[column][row]; });
    return { seq: number, dev_ms: at, reading: Object.fromEntries(names.map((name, column) => [name, sums[column]])) };
  });
}
