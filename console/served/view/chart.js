// One chart: a field of the workout over the last 15 minutes. In: a `Series`. Out: SVG with the line broken where nothing was
// read, a strip below that is solid where readings are stored, and a cursor for pointer and arrow keys.
// Colours come from the style sheet; sizes from the element itself.

import { hubNow } from '../clock.js';
import { freshness } from '../fresh.js';
import { prefs } from '../prefs.js';
import { WINDOW_MS } from '../series.js';
import { agoText, FIELDS, NONE, wireField } from '../units.js';
import { attr, h, svg, text } from './dom.js';

const PAD = { left: 40, right: 10, top: 8, bottom: 26 };
const HEIGHT = 150;
const clockOf = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });

/**
 * Round numbers that hold lowest and highest between them; `spanMin` keeps noise from looking like hills.
 * @returns {{from: number, to: number, step: number}}
 */
export function scaleOf(lowest, highest, spanMin = 1) {
  const missing = Math.max(0, spanMin - (highest - lowest)) / 2;
  const low = lowest >= 0 ? Math.max(0, lowest - missing) : lowest - missing, high = highest + missing;
  const span = Math.max(high - low, 1e-6);
  const magnitude = 10 ** Math.floor(Math.log10(span / 2));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * magnitude).find((size) => Math.floor(low / size) * size + 3 * size >= high) ?? magnitude * 20;
  const from = Math.floor(low / step) * step;
  return { from, to: from + 3 * step, step };
}

export class Chart {
  #field; #svg; #grid; #area; #line; #strip; #limit; #cursor; #dot; #times; #now; #range; #width = 0; #drawn = '';
  /** @type {number|null} */ #cursorAt = null;
  /** @type {{at: number, value: number}[]} */ #points = [];
  #toX = (at) => at; #toY = (value) => value; #from = 0; #to = 0;

  /** @param {string} field of `units.js` */
  constructor(field) {
    this.#field = field;
    const { label } = FIELDS[field];
    this.#grid = svg('g', { class: 'grid' });
    this.#area = svg('path', { class: 'area' });
    this.#line = svg('path', { class: 'line' });
    this.#strip = svg('path', { class: 'strip' });
    this.#limit = svg('path', { class: 'limit' });
    this.#times = svg('g', { class: 'times' });
    this.#cursor = svg('line', { class: 'cursor' });
    this.#dot = svg('circle', { class: 'dot', r: 4 });
    this.#svg = svg('svg', { role: 'img', tabindex: 0, height: HEIGHT, class: 'plot' },
      this.#grid, this.#area, this.#strip, this.#limit, this.#line, this.#times, this.#cursor, this.#dot);
    this.#now = h('span', { class: 'figure' }, NONE);
    this.#range = h('span', { class: 'span' });
    this.element = h('figure', { class: 'chart', data: { field } },
      h('figcaption', {}, h('span', { class: 'label' }, label), this.#range, h('span', { class: 'now' }, this.#now, h('span', { class: 'unit' }))), this.#svg);
    this.#wire();
  }

  #wire() {
    new ResizeObserver(([entry]) => { this.#width = Math.floor(entry.contentRect.width); this.#drawn = ''; this.draw(); }).observe(this.element);
    this.#svg.addEventListener('pointermove', (event) => this.#point(event.clientX - this.#svg.getBoundingClientRect().left));
    this.#svg.addEventListener('pointerleave', () => { this.#cursorAt = null; this.#drawCursor(); });
    this.#svg.addEventListener('blur', () => { this.#cursorAt = null; this.#drawCursor(); });
    this.#svg.addEventListener('keydown', (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -60, PageDown: 60, Home: -Infinity, End: Infinity }[event.key];
      if (steps === undefined || this.#points.length === 0) return;
      event.preventDefault();
      const from = this.#cursorAt === null ? this.#points.length - 1 : this.#nearest(this.#cursorAt);
      this.#cursorAt = this.#points[Math.max(0, Math.min(this.#points.length - 1, from + steps))].at;
      this.#drawCursor();
    });
  }

  #point(x) {
    const share = (x - PAD.left) / Math.max(1, this.#width - PAD.left - PAD.right);
    this.#cursorAt = this.#from + share * (this.#to - this.#from);
    this.#drawCursor();
  }

  #nearest(at) {
    let best = 0;
    this.#points.forEach((point, index) => { if (Math.abs(point.at - at) < Math.abs(this.#points[best].at - at)) best = index; });
    return best;
  }

  /** @type {import('../series.js').Series|null} */ #series = null;
  /** @type {number|null} */ #limitValue = null;

  /** Takes what to draw. @param {number|null} limit a horizontal mark, in wire units */
  take(series, limit = null) {
    this.#series = series;
    this.#limitValue = limit;
    this.draw();
  }

  /** Draws where something changed since the last time; time itself moves once a second. */
  draw() {
    if (!this.#series || this.#width < 80) return;
    const now = Math.floor(hubNow() / 1000) * 1000 + 1000;
    const state = `${this.#series.version}/${now}/${this.#width}/${prefs.units}/${this.#limitValue}`;
    if (state === this.#drawn) return;
    this.#drawn = state;
    const { unit, scale } = FIELDS[this.#field];
    const show = (value) => scale(value, prefs.units);
    this.#to = now;
    this.#from = now - this.#spanMs(now);
    const lines = this.#series.lines(wireField(this.#field), this.#from)
      .map((line) => line.map((point) => ({ ...point, value: show(point.value) })).filter(({ value }) => Number.isFinite(value)))
      .filter((line) => line.length > 0);
    this.#points = lines.flat().sort((a, b) => a.at - b.at);
    this.#scale(this.#limitValue === null ? null : show(this.#limitValue));
    this.#drawLines(lines);
    text(this.element.querySelector('.unit'), unit(prefs.units));
    this.#drawCursor();
  }

  /** The window grows with the workout, so that the first minutes do not hide in a corner. */
  #spanMs(now) {
    const age = now - this.#series.oldestAt();
    return [60_000, 120_000, 300_000, 600_000].find((span) => age <= span) ?? WINDOW_MS;
  }

  #scale(limit) {
    const values = this.#points.map(({ value }) => value);
    if (limit !== null) values.push(limit);
    const low = values.length ? Math.min(...values) : 0, high = values.length ? Math.max(...values) : 1;
    const { lowIsUp, format, span } = FIELDS[this.#field];
    const { from, to, step } = scaleOf(low, high, span);
    const width = this.#width - PAD.left - PAD.right, height = HEIGHT - PAD.top - PAD.bottom;
    this.#toX = (at) => PAD.left + ((at - this.#from) / (this.#to - this.#from)) * width;
    this.#toY = (value) => PAD.top + (lowIsUp ? (value - from) / (to - from) : 1 - (value - from) / (to - from)) * height;
    attr(this.#svg, 'viewBox', `0 0 ${this.#width} ${HEIGHT}`);
    attr(this.#svg, 'width', this.#width);
    this.#grid.replaceChildren(...[0, 1, 2, 3].flatMap((line) => {
      const y = Math.round(this.#toY(from + line * step)) + 0.5;
      const label = svg('text', { x: PAD.left - 6, y: y + 4, 'text-anchor': 'end' });
      label.textContent = format(from + line * step);
      return [svg('line', { x1: PAD.left, x2: this.#width - PAD.right, y1: y, y2: y }), label];
    }));
    this.#times.replaceChildren(...[0, 0.5, 1].map((share) => {
      const at = this.#from + share * (this.#to - this.#from);
      const label = svg('text', { x: this.#toX(at), y: HEIGHT - 4, 'text-anchor': ['start', 'middle', 'end'][share * 2] });
      label.textContent = share === 1 ? 'now' : `−${agoText(this.#to - at)}`;
      return label;
    }));
    attr(this.#limit, 'd', limit === null ? '' : `M${PAD.left} ${this.#toY(limit)}H${this.#width - PAD.right}`);
  }

  #drawLines(lines) {
    const base = HEIGHT - PAD.bottom;
    const path = (line) => line.map(({ at, value }, index) => `${index ? 'L' : 'M'}${this.#toX(at).toFixed(1)} ${this.#toY(value).toFixed(1)}`).join('');
    attr(this.#line, 'd', lines.map((line) => (line.length === 1 ? `${path(line)}h.1` : path(line))).join(''));
    attr(this.#area, 'd', lines.filter((line) => line.length > 1).map((line) => `${path(line)}L${this.#toX(line.at(-1).at).toFixed(1)} ${base}L${this.#toX(line[0].at).toFixed(1)} ${base}Z`).join(''));
    attr(this.#strip, 'd', lines.map((line) => stored(line, this.#toX, base + 4)).join(''));
  }

  #drawCursor() {
    const { label, format, unit } = FIELDS[this.#field];
    const chosen = this.#cursorAt === null || this.#points.length === 0 ? null : this.#points[this.#nearest(this.#cursorAt)];
    for (const mark of [this.#cursor, this.#dot]) attr(mark, 'visibility', chosen ? 'visible' : 'hidden');
    const last = this.#points.at(-1);
    const fresh = last ? freshness(wireField(this.#field), hubNow() - last.at) : 'blank';
    const value = chosen ?? (fresh === 'blank' ? null : last);
    text(this.#now, value ? format(value.value) : NONE);
    attr(this.#now, 'data-fresh', chosen ? null : fresh);
    if (chosen) {
      const x = this.#toX(chosen.at).toFixed(1);
      for (const [name, where] of [['x1', x], ['x2', x], ['y1', PAD.top], ['y2', HEIGHT - PAD.bottom]]) attr(this.#cursor, name, where);
      attr(this.#dot, 'cx', x);
      attr(this.#dot, 'cy', this.#toY(chosen.value).toFixed(1));
    }
    const values = this.#points.map((point) => point.value);
    const summary = values.length ? `${format(Math.min(...values))} to ${format(Math.max(...values))}` : 'no readings yet';
    text(this.#range, chosen ? clockOf(chosen.at) : summary);
    attr(this.#svg, 'aria-label', chosen ? `${label} at ${clockOf(chosen.at)}: ${format(chosen.value)} ${unit(prefs.units)}`
      : `${label}, last ${agoText(this.#to - this.#from)}: ${summary} ${unit(prefs.units)}. Arrow keys read single values.`);
    attr(this.#svg, 'data-points', values.length);
  }
}

/** The strip of stored stretches of a line. */
function stored(line, toX, y) {
  let path = '', open = null;
  line.forEach((point, index) => {
    if (point.saved && open === null) open = point.at;
    if (open !== null && (!point.saved || index === line.length - 1)) {
      const end = point.saved ? point.at : line[index - 1].at;
      path += `M${toX(open).toFixed(1)} ${y}H${Math.max(toX(end), toX(open) + 1).toFixed(1)}`;
      open = null;
    }
  });
  return path;
}
