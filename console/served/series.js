// Readings of one workout as a chart needs them: by source, in order, once each.
// In: sources, the ring of a snapshot, `live` and `saved` frames. Out: lines broken at real gaps, latest values, what is stored.
// A reading is known by (source, boot, seq), so what a reload or a resume brings twice stands once.

import { unpack } from './fields.js';
import { count, has } from './seqs.js';

/** The chart's window, and what the hub's ring holds. */
export const WINDOW_MS = 15 * 60_000;
/** Readings kept of one source; ten a second for the window are fewer. */
const ROWS_MAX = 10_000;
/** Readings further apart than this have nothing between them. Machines speak once a second, some a little slower. */
export const GAP_MS = 4000;

/**
 * @typedef {{seq: number, at: number, reading: Record<string, number>}} Row
 * @typedef {{key: string, rows: Row[], stored: number[], machine: string|null, sensor: string}} Source
 */

export class Series {
  /** @type {Map<string, Source>} */ #sources = new Map();
  /** @type {Map<number, string>} */ #keys = new Map();
  /** Grows with each change, so that a chart need not compare. */
  version = 0;

  /** Takes the room's list of sources; indexes hold until the next list. */
  takeSources(list) {
    this.#keys.clear();
    for (const source of list) this.takeSource(source);
  }

  takeSource({ source, machine, sensor, boot }) {
    const key = `${machine ?? 'own'}/${sensor}/${boot}`;
    this.#keys.set(source, key);
    if (!this.#sources.has(key)) this.#sources.set(key, { key, rows: [], stored: [], machine, sensor });
  }

  /** Takes a snapshot's past. The hub's corrected times win over those guessed at arrival. */
  takeRing(ring) {
    for (const { source, offset_ms, columns } of ring) {
      const target = this.#of(source);
      for (const row of unpack(columns)) this.#insert(target, { seq: row.seq, at: row.dev_ms + offset_ms, reading: row.reading });
    }
    this.#trim();
    this.version += 1;
  }

  takeLive(source, seq, at, reading) {
    this.#insert(this.#of(source), { seq, at, reading });
    this.#trim();
    this.version += 1;
  }

  takeSaved(source, stored) {
    this.#of(source).stored = stored;
    this.version += 1;
  }

  /** A frame for a source that no list named yet still counts; its boot is told later. */
  #of(source) {
    if (!this.#keys.has(source)) this.takeSource({ source, machine: null, sensor: `source ${source}`, boot: 0 });
    return this.#sources.get(this.#keys.get(source));
  }

  #insert({ rows }, row) {
    let at = rows.length;
    while (at > 0 && rows[at - 1].seq >= row.seq) at -= 1;
    if (rows[at]?.seq === row.seq) rows[at] = row;
    else rows.splice(at, 0, row);
  }

  #trim() {
    const newest = this.newestAt();
    for (const source of this.#sources.values()) {
      let drop = Math.max(0, source.rows.length - ROWS_MAX);
      while (drop < source.rows.length && source.rows[drop].at < newest - WINDOW_MS) drop += 1;
      if (drop > 0) source.rows.splice(0, drop);
    }
  }

  newestAt() { return Math.max(0, ...[...this.#sources.values()].map(({ rows }) => rows.at(-1)?.at ?? 0)); }
  oldestAt() { return Math.min(Infinity, ...[...this.#sources.values()].map(({ rows }) => rows[0]?.at ?? Infinity)); }

  /**
   * The lines of a field: one for each unbroken stretch of one source.
   * @returns {{at: number, value: number, saved: boolean}[][]}
   */
  lines(field, from) {
    const lines = [];
    for (const { rows, stored } of this.#sources.values()) {
      let line = null, before = -Infinity;
      for (const { seq, at, reading } of rows) {
        const value = reading[field];
        if (value === undefined || at < from) continue;
        if (!line || at - before > GAP_MS) lines.push(line = []);
        line.push({ at, value, saved: has(stored, seq) });
        before = at;
      }
    }
    return lines;
  }

  /** The newest value of a field over all sources, and when it was read. @returns {{value: number, at: number}|null} */
  latest(field) {
    let best = null;
    for (const { rows } of this.#sources.values()) {
      for (let at = rows.length - 1; at >= 0 && rows.length - at < 32; at -= 1) {
        if (rows[at].reading[field] === undefined) continue;
        if (!best || rows[at].at > best.at) best = { value: rows[at].reading[field], at: rows[at].at };
        break;
      }
    }
    return best;
  }

  /** Whether any reading of the window has the field. */
  knows(field) {
    return [...this.#sources.values()].some(({ rows }) => rows.some(({ reading }) => reading[field] !== undefined));
  }

  /**
   * What is stored of the readings seen here: all up to `to` (null: nothing yet), and how many wait.
   * `records` counts everything stored of these sources: readings that are not shown here, and sets, too.
   * @returns {{seen: number, saved: number, waiting: number, to: number|null, waitingSince: number|null, records: number}}
   */
  saved() {
    let seen = 0, saved = 0, newest = null, waitingSince = null, records = 0;
    for (const { rows, stored } of this.#sources.values()) {
      records += count(stored);
      for (const { seq, at } of rows) {
        seen += 1;
        if (has(stored, seq)) { saved += 1; newest = Math.max(newest ?? 0, at); }
        else waitingSince = Math.min(waitingSince ?? Infinity, at);
      }
    }
    const to = waitingSince === null ? newest : this.#newestSavedBefore(waitingSince);
    return { seen, saved, waiting: seen - saved, to, waitingSince, records };
  }

  #newestSavedBefore(limit) {
    let to = null;
    for (const { rows, stored } of this.#sources.values()) {
      for (const { seq, at } of rows) if (at < limit && at > (to ?? 0) && has(stored, seq)) to = at;
    }
    return to;
  }

  /** Sequence numbers between the first and the last held that are missing; for tests and for honesty. */
  missing() {
    let missing = 0;
    for (const { rows } of this.#sources.values()) if (rows.length) missing += rows.at(-1).seq - rows[0].seq + 1 - rows.length;
    return missing;
  }
}
