// The stop at the bottom of the phone, reachable at any scroll position and by the first skip link.
// In: the claim and `state.stops`. Out: presses to `action/stop.js`, and the result in words, read aloud at once.

import { dismiss, stop, stopText } from '../action/stop.js';
import { state } from '../store.js';
import { attr, byId, show, text } from './dom.js';

/** A result stays this long after its end. */
const RESULT_LIFE_MS = 15_000;
let clearing = 0;

byId('stop').addEventListener('click', () => {
  const machine = state.member?.claim?.machine;
  if (machine) { clearTimeout(clearing); clearing = 0; stop(machine, 'the member, from the phone page'); }
});

/** Draws the bar, while there is a machine to stop. */
export function drawStopBar() {
  const machine = state.member?.claim?.machine;
  show(byId('stop-bar'), Boolean(machine));
  document.body.classList.toggle('has-stop', Boolean(machine));
  if (!machine) return;
  const view = state.stops.get(machine);
  const result = byId('stop-result');
  text(result, view ? stopText(view) : '');
  attr(result, 'data-result', view?.result ?? null);
  attr(byId('stop'), 'data-busy', view?.repeating ?? false);
  if (view && !view.repeating && !clearing) clearing = setTimeout(() => { clearing = 0; dismiss(machine); }, RESULT_LIFE_MS);
}
