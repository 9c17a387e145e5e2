// The board of a class or a contest, for a wall or a phone. In: the board's room (`?board=ID`, or the one of the gym that runs and
// began last). Out: a line for each of the best, moving to its place when the order changes; nobody without consent is here.

import { wire } from '../app.js';
import { hubNow } from '../clock.js';
import { prefs, preferDark, wirePrefs } from '../prefs.js';
import * as session from '../session.js';
import { state, subscribe, touch } from '../store.js';
import { byId, h, keyed, show, text } from '../view/dom.js';
import { drawLink } from '../view/link.js';
import { loginForm } from '../view/login.js';
import { makeStanding, updateStanding } from '../view/standing.js';
import { spanText } from '../units.js';

const DAY_MS = 86_400_000;
/** A wall may be there before its board, or stay for the next: it asks so often. */
const ASK_EVERY_MS = 5000;
const STAGE = { waiting: 'Starts in', running: 'Ends in', over: 'Final' };

/** @type {{board: string, name: string}[]|null} */
let offered = null;
/** The board to watch, once it is known. @type {string|undefined} */
let chosen;
let asking = false;
let askFrom = 0;

session.takeTokenFromAddress();
wirePrefs(touch);
if (session.claims().role === 'display' || !session.token()) preferDark();
loginForm(byId('login-ways'), ['display', 'operator', 'coach', 'member'], enter);
byId('full').addEventListener('click', () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen()));
byId('full').hidden = !document.fullscreenEnabled;
subscribe(draw);
setInterval(touch, 1000);
enter();

function enter() {
  wire.open();
  choose();
}

/** Watches the board that the address names, or the gym's own. */
async function choose() {
  const gym = new URLSearchParams(location.search).get('gym') ?? session.gyms()[0];
  if (!session.token() || asking || settled() || !gym || performance.now() < askFrom) return;
  asking = true;
  askFrom = performance.now() + ASK_EVERY_MS;
  const answer = await fetch(`/v1/boards?gym=${gym}`, { headers: { authorization: `Bearer ${session.token()}` }, signal: AbortSignal.timeout(8000) }).catch(() => null);
  asking = false;
  if (!answer?.ok) return;
  const now = hubNow();
  const all = await answer.json();
  offered = all;
  const running = all.find((board) => board.starts_at_ms <= now && now < board.ends_at_ms);
  chosen = new URLSearchParams(location.search).get('board') ?? (running ?? all[0])?.board;
  drawOthers(all, chosen);
  touch();
}

/** Whether there is no other board to look for. */
function settled() {
  const isNamed = new URLSearchParams(location.search).has('board');
  return Boolean(offered?.length) && (isNamed || state.board?.stage !== 'over');
}

function drawOthers(all, current) {
  show(byId('others'), all.length > 1);
  byId('others').replaceChildren(...all.slice(0, 4).map(({ board, name }) => h('a', { href: `?board=${board}`, 'aria-current': board === current ? 'page' : null }, name)));
}

function draw() {
  choose();
  if (chosen) wire.keepWatching(`board:${chosen}`);
  drawLink();
  text(byId('told'), state.feed[0]?.text ?? '');
  const board = state.board;
  show(byId('empty'), board ? board.rows.length === 0 : offered?.length === 0);
  if (!board) return text(byId('empty'), 'No board is up in this gym. Staff or the operator\u2019s service makes one with PUT /v1/boards.');
  text(byId('empty'), board.stage === 'waiting' ? 'Take a machine: who agreed to be on walls appears here when it starts.' : 'Nobody is on this board yet. Only members who agreed to be on walls are shown.');
  document.title = `${board.name} · Spotter`;
  document.body.dataset.ready = '';
  text(byId('name'), board.name);
  drawStage(board);
  drawStandings(board);
}

function drawStage(board) {
  const now = hubNow();
  const until = board.stage === 'waiting' ? board.starts_at_ms : board.ends_at_ms;
  byId('stage').dataset.stage = board.stage;
  text(byId('stage'), board.stage === 'over' ? STAGE.over : `${STAGE[board.stage]} ${remaining(until - now)}`);
}

const remaining = (ms) => (ms > 2 * DAY_MS ? `${Math.floor(ms / DAY_MS)} days` : spanText(ms));

function drawStandings(board) {
  const list = byId('standings');
  const before = placesOf(list);
  const best = Math.max(1, board.rows[0]?.score ?? 1);
  // Equal scores share a rank.
  let rank = 0;
  const lines = board.rows.map((row, at) => {
    if (at === 0 || board.rows[at - 1].score !== row.score) rank = at + 1;
    return { ...row, rank, name: board.names.get(row.index) ?? '', share: row.score / best, metric: board.metric, units: prefs.units };
  });
  keyed(list, lines, ({ index }) => String(index), makeStanding, updateStanding);
  list.style.setProperty('--lines', String(Math.ceil(lines.length / 2)));
  move(list, before);
  const below = board.count - board.rows.length;
  show(byId('below'), below > 0);
  text(byId('below'), `and ${below} more`);
}

const placesOf = (list) => new Map([...list.children].map((node) => [node, [node.offsetLeft, node.offsetTop]]));

/** Lines go to their new place rather than jump, unless somebody prefers stillness. */
function move(list, before) {
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  for (const node of list.children) {
    const from = before.get(node);
    if (!from) continue;
    const [x, y] = [from[0] - node.offsetLeft, from[1] - node.offsetTop];
    if (x || y) node.animate([{ translate: `${x}px ${y}px` }, { translate: '0 0' }], { duration: 420, easing: 'cubic-bezier(.2,.8,.2,1)' });
  }
}
