// What the pages compute, without a browser: order of events, merged readings, freshness, close codes, figures.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { pointsAt } from '../served/aim.js';
import { afterClose, backoffMs } from '../served/closes.js';
import { unpack } from '../served/fields.js';
import { freshness } from '../served/fresh.js';
import { Rooms } from '../served/rooms.js';
import { has } from '../served/seqs.js';
import { Series } from '../served/series.js';
import { targetText, valueText, withUnit } from '../served/units.js';

const ROOM = 'workout:0190aaaa-0000-7000-8000-000000000001';
const joined = (offset, epoch = 'aa') => ({ room: ROOM, handle: 7, epoch, offset });
const SOURCE = { source: 0, machine: 'm', sensor: 'ftms', boot: 3 };
const live = (series, seq, at = seq * 1000) => series.takeLive(0, seq, at, { power_w: 100 + seq });

test('an event is applied once and in order, and a gap is noticed', () => {
  const rooms = new Rooms();
  rooms.want(ROOM);
  rooms.joined(joined(4));
  assert.equal(rooms.place({ handle: 7, offset: 4 }), 'old');
  assert.equal(rooms.place({ handle: 7, offset: 5 }), 'next');
  assert.equal(rooms.place({ handle: 7, offset: 5 }), 'old');
  assert.equal(rooms.place({ handle: 7, offset: 7 }), 'gap');
  assert.equal(rooms.place({ handle: 8, offset: 1 }), 'foreign');
});

test('hello asks for each room from where it is known, and a handle ends with its connection', () => {
  const rooms = new Rooms();
  rooms.want(ROOM, { every_ms: 500 });
  assert.deepEqual(rooms.hello(), [{ room: ROOM, every_ms: 500 }]);
  rooms.joined(joined(4));
  rooms.place({ handle: 7, offset: 5 });
  assert.deepEqual(rooms.hello(), [{ room: ROOM, every_ms: 500, epoch: 'aa', offset: 5 }]);
  assert.equal(rooms.place({ handle: 7, offset: 6 }), 'foreign');
  assert.deepEqual(rooms.join(ROOM, true), { room: ROOM, every_ms: 500 });
});

test('a reset takes the new epoch and its offset', () => {
  const rooms = new Rooms();
  rooms.want(ROOM);
  rooms.joined(joined(90));
  rooms.reset({ handle: 7, epoch: 'bb', offset: 2 });
  assert.equal(rooms.place({ handle: 7, offset: 3 }), 'next');
});

test('the close code alone tells what to do, also for reasons of a later hub', () => {
  for (const code of [1001, 1006, 1011, 4000, 4007, 4099]) assert.equal(afterClose(code), 'resume', String(code));
  for (const code of [4100, 4103, 4199]) assert.equal(afterClose(code), 'log_in', String(code));
  for (const code of [4200, 4205, 4299]) assert.equal(afterClose(code), 'stop', String(code));
});

test('back-off doubles, is spread over its upper half and ends at 15 s', () => {
  assert.equal(backoffMs(4000, 0, () => 0), 50);
  assert.equal(backoffMs(4000, 0, () => 1), 100);
  assert.equal(backoffMs(4001, 3, () => 1), 8000);
  assert.equal(backoffMs(1006, 40, () => 1), 15_000);
});

test('columns of differences become rows', () => {
  const rows = unpack({ mask: 0b1101, seq: [5, 1, 2], dev_ms: [1000, 1000, 2000], values: [[900, 10, -5], [200, 1, 1], [140, 0, 2]] });
  assert.deepEqual(rows, [
    { seq: 5, dev_ms: 1000, reading: { speed_centikmh: 900, power_w: 200, heart_rate_bpm: 140 } },
    { seq: 6, dev_ms: 2000, reading: { speed_centikmh: 910, power_w: 201, heart_rate_bpm: 140 } },
    { seq: 8, dev_ms: 4000, reading: { speed_centikmh: 905, power_w: 202, heart_rate_bpm: 142 } },
  ]);
});

test('what a reload or a resume brings twice stands once, and the ring fills what live frames missed', () => {
  const series = new Series();
  series.takeSources([SOURCE]);
  for (const seq of [1, 2, 3, 7]) live(series, seq);
  assert.equal(series.missing(), 3);
  assert.equal(series.lines('power_w', 0).length, 1, '4 s apart is still one line');
  series.takeRing([{ source: 0, offset_ms: 0, columns: { mask: 4, seq: [2, 1, 1, 1, 1, 1], dev_ms: [2000, 1000, 1000, 1000, 1000, 1000], values: [[102, 1, 1, 1, 1, 1]] } }]);
  assert.equal(series.missing(), 0);
  assert.deepEqual(series.lines('power_w', 0)[0].map(({ value }) => value), [101, 102, 103, 104, 105, 106, 107]);
});

test('a real gap breaks the line, and another boot is another line', () => {
  const series = new Series();
  series.takeSources([SOURCE]);
  for (const seq of [1, 2, 3]) live(series, seq);
  live(series, 4, 9000);
  series.takeSources([{ ...SOURCE, boot: 4 }]);
  live(series, 1, 10_000);
  assert.deepEqual(series.lines('power_w', 0).map((line) => line.length), [3, 1, 1]);
});

test('saved means stored: the mark follows the ranges and never runs ahead of a hole', () => {
  const series = new Series();
  series.takeSources([SOURCE]);
  for (const seq of [1, 2, 3, 4]) live(series, seq);
  assert.deepEqual(series.saved(), { seen: 4, saved: 0, waiting: 4, to: null, waitingSince: 1000, records: 0 });
  series.takeSaved(0, [1, 2, 4, 4]);
  assert.deepEqual(series.saved(), { seen: 4, saved: 3, waiting: 1, to: 2000, waitingSince: 3000, records: 3 });
  series.takeSaved(0, [1, 4]);
  assert.deepEqual(series.saved(), { seen: 4, saved: 4, waiting: 0, to: 4000, waitingSince: null, records: 4 });
});

test('ranges hold what they hold', () => {
  assert.deepEqual([1, 3, 4, 6, 9].map((seq) => has([1, 3, 6, 8], seq)), [true, true, false, true, false]);
});

test('a value is stale after 3 s, a heart rate after 5 s, and blank after 15 s', () => {
  assert.deepEqual([2999, 3000, 14_999, 15_000].map((age) => freshness('power_w', age)), ['fresh', 'stale', 'stale', 'blank']);
  assert.deepEqual([4999, 5000, 15_000].map((age) => freshness('heart_rate_bpm', age)), ['fresh', 'stale', 'blank']);
});

test('figures are read in kilometres or miles', () => {
  assert.equal(withUnit('speed_centikmh', 1050, 'km'), '10.5 km/h');
  assert.equal(withUnit('speed_centikmh', 1609, 'mi'), '10.0 mph');
  assert.equal(withUnit('pace', 1200, 'km'), '5:00 /km');
  assert.equal(withUnit('pace', 1200, 'mi'), '8:03 /mi');
  assert.equal(valueText('pace', 0, 'km'), '–');
  assert.equal(valueText('cadence_half_rpm', 181, 'km'), '91');
  assert.equal(targetText({ incline_permille: 15 }, 'km'), 'Incline 1.5 %');
  assert.equal(targetText('pause', 'km'), 'Pause');
});

test('six digits are a code, a UUID is a sticker, anything else is nothing', () => {
  assert.deepEqual(pointsAt(' 123 456 '), { code: '123456' });
  assert.deepEqual(pointsAt('https://gym.example/phone.html#code=654321'), { code: '654321' });
  assert.deepEqual(pointsAt('#machine=0190AAAA-0000-7000-8000-000000000001'), { sticker: '0190aaaa-0000-7000-8000-000000000001' });
  assert.equal(pointsAt('1234567'), null);
  assert.equal(pointsAt('hello'), null);
});
