// The floor wall. In: the floor's room, as whoever is logged in may see it. Out: a tile a machine, and for operators first
// what is broken, silent or unconfirmed. Draws once a second besides, because values grow old by themselves.

import { wire } from '../app.js';
import { hubNow } from '../clock.js';
import { preferDark, wirePrefs } from '../prefs.js';
import * as session from '../session.js';
import { state, subscribe, touch } from '../store.js';
import { drawAttention } from '../view/attention.js';
import { drawDetail, openDetail } from '../view/detail.js';
import { byId, keyed, show, text } from '../view/dom.js';
import { drawLink } from '../view/link.js';
import { loginForm } from '../view/login.js';
import { makeTile, updateTile } from '../view/tile.js';

/** Tiles of a wall are nearest to this shape. */
const TILE_SHAPE = 1.35;
const EMPTY_WEIGHT = 3;
/** Bike 2 comes before Bike 10. */
const BY_NAME = new Intl.Collator(undefined, { numeric: true });

session.takeTokenFromAddress();
wirePrefs(touch);
if (session.claims().role === 'display' || !session.token()) preferDark();
loginForm(byId('login-ways'), ['display', 'operator', 'coach', 'member'], enter);
byId('full').addEventListener('click', () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
byId('full').hidden = !document.fullscreenEnabled;
subscribe(draw);
setInterval(touch, 1000);
addEventListener('resize', touch);
enter();

function enter() {
  watchFloor();
  wire.open();
}

function watchFloor() {
  const gym = new URLSearchParams(location.search).get('gym') ?? session.gyms()[0];
  if (gym) wire.keepWatching(`floor:${gym}`);
}

/** The role, from the token until the hub has said it: so the page has its shape before the first frame. */
function role() {
  return state.me?.role ?? session.claims().role;
}

function isStaff() {
  return role() === 'operator';
}

function draw() {
  watchFloor();
  drawLink();
  text(byId('told'), state.feed[0]?.text ?? '');
  text(byId('clock'), new Date(hubNow()).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  const floor = state.floor;
  document.body.classList.toggle('wall', isWall());
  show(byId('attention'), isStaff());
  if (!floor) return;
  text(byId('gym'), floor.name);
  document.title = `${floor.name} · Spotter`;
  const machines = [...floor.machines.values()].sort((a, b) => BY_NAME.compare(a.name, b.name));
  document.body.dataset.ready = '';
  drawCounts(machines);
  if (isStaff()) drawAttention(machines, openDetail);
  const grid = byId('grid');
  fit(grid, machines.length);
  const open = isStaff() ? openDetail : null;
  keyed(grid, machines, (machine) => `${machine.machine}/${machine.kind}/${open ? 'open' : 'still'}`, (machine) => makeTile(machine, open), updateTile);
  drawDetail();
}

function drawCounts(machines) {
  for (const row of byId('counts').children) {
    text(row.querySelector('dd'), String(machines.filter(({ availability }) => availability === row.dataset.availability).length));
  }
}

/** A wall display on a screen that is large enough. */
function isWall() {
  return role() === 'display' && innerWidth >= 1100 && innerHeight >= 640;
}

/** A wall shows all machines without scrolling: as many columns as make tiles of a good shape. */
function fit(grid, count) {
  if (!isWall() || count === 0) { grid.style.removeProperty('--columns'); return; }
  const { width, height } = byId('machines').getBoundingClientRect();
  let best = 1, bestOff = Infinity;
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    // A last row that is nearly empty looks broken: empty places weigh as well.
    const off = Math.abs(Math.log((width / columns) / (height / rows) / TILE_SHAPE)) + EMPTY_WEIGHT * (rows * columns - count) / count;
    if (off < bestOff) [best, bestOff] = [columns, off];
  }
  grid.style.setProperty('--columns', String(best));
}
