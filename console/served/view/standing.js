// One line of a board: rank, name, zone, score, and how far it is from the best. In: a row with its name. Out: a list item.

import { h, show, text } from './dom.js';
import { spanText, valueText, withUnit } from '../units.js';

const MEDALS = 3;
/** Words for zones, so that colour is never alone. */
const ZONES = ['', 'very light', 'light', 'moderate', 'hard', 'maximum'];

/** A score in words and its unit. */
export function scoreText(metric, score, units) {
  switch (metric) {
    case 'distance': return [score < 1000 && units !== 'mi' ? String(score) : valueText('distance_m', score, units), score < 1000 && units !== 'mi' ? 'm' : withUnit('distance_m', score, units).split(' ')[1]];
    case 'energy': return [String(score), 'kcal'];
    case 'duration': return [spanText(score * 1000), ''];
    default: return [String(score), metric];
  }
}

/** @returns {HTMLElement} */
export function makeStanding() {
  return h('li', { class: 'standing' },
    h('span', { class: 'rank figure' }), h('span', { class: 'who' }),
    h('span', { class: 'zone', hidden: true }), h('span', { class: 'score' }, h('span', { class: 'figure' }), h('span', { class: 'unit' })),
    h('span', { class: 'share', 'aria-hidden': 'true' }));
}

export function updateStanding(node, { rank, name, zone, score, share, metric, units }) {
  const [figure, unit] = scoreText(metric, score, units);
  node.dataset.medal = rank <= MEDALS && score > 0 ? String(rank) : '';
  text(node.querySelector('.rank'), String(rank));
  text(node.querySelector('.who'), name);
  const chip = node.querySelector('.zone');
  show(chip, zone > 0);
  chip.dataset.zone = String(zone);
  text(chip, zone > 0 ? `Z${zone}` : '');
  chip.title = zone > 0 ? `Heart-rate zone ${zone}: ${ZONES[zone]}` : '';
  text(node.querySelector('.figure:not(.rank)'), figure);
  text(node.querySelector('.unit'), unit);
  node.querySelector('.share').style.setProperty('--share', share.toFixed(3));
}
