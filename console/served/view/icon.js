// Pictograms of the kinds of machine, drawn in one weight. In: a kind. Out: an SVG that takes the colour of its text.
// They only accompany words, so screen readers pass them by.

import { svg } from './dom.js';

/** Paths on a 32 by 32 field. */
const PATHS = {
  treadmill: 'M4 27h21M9 27l4-6h9M25 27l3-19h-5M17 8.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0M15 11l-2 5 4 3',
  bike: 'M4 27h24M11 27l3-9h9l2 9M14 18l-2-6M9 12h6M23 18V8h4M21 21.5a3 3 0 1 1-6 0 3 3 0 0 1 6 0',
  rower: 'M3 26h26M6 26v-9l3-2M12 23h6M14 23l1-8 6 2 3-3M17 10.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0M9 21a3 3 0 1 1-6 0 3 3 0 0 1 6 0',
  cross_trainer: 'M3 27h26M9 27l3-18M22 27 19 9M7 22l9 2 10-3M12 9h-3M19 9h4M25 20a4 4 0 1 1-8 0 4 4 0 0 1 8 0',
  stair_climber: 'M4 28h6v-5h6v-5h6v-5h6M14 8.5a2 2 0 1 1-4 0 2 2 0 0 1 4 0M12 11v5l3 2M22 6v-1h5v8',
  strength: 'M4 16h24M9 9v14M23 9v14M5.5 12v8M26.500 12v8',
  other: 'M8 26h16M16 26V14M10 14h12M16 9.500a2.500 2.500 0 1 1 .01 0',
};

const SAME = { step_climber: 'stair_climber', functional: 'strength' };

/** The pictogram of a kind. */
export function icon(kind) {
  return svg('svg', { viewBox: '0 0 32 32', class: 'kind', 'aria-hidden': 'true', fill: 'none', stroke: 'currentColor', 'stroke-width': 1.8, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' },
    svg('path', { d: PATHS[SAME[kind] ?? kind] ?? PATHS.other }));
}
