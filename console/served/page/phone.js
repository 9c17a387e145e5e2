// The phone: take a machine, see the workout, control and stop the machine, give it back.
// In: the member's room, and those of the claim it tells of. Out: what is drawn by `view/`. A reload brings everything back from
// the member's room and the workout's ring; this page keeps only the token.

import { claim } from '../action/claim.js';
import { pointsAt } from '../aim.js';
import { on, wire } from '../app.js';
import { wirePrefs } from '../prefs.js';
import * as session from '../session.js';
import { change, forget, state, subscribe, touch } from '../store.js';
import { drawControls } from '../view/controls.js';
import { byId, show, text } from '../view/dom.js';
import { drawEarned } from '../view/earned.js';
import { drawLink } from '../view/link.js';
import { loginForm } from '../view/login.js';
import { drawPast } from '../view/past.js';
import { drawStopBar } from '../view/stopbar.js';
import { drawTaking } from '../view/taking.js';
import { drawTraining } from '../view/training.js';

/** Free machines are looked up this often while nothing is claimed. */
const FLOOR_EVERY_MS = 2000;
/** Rooms of the claim that are watched now. */
let watched = { machine: null, workout: null, floor: null, member: null };

session.takeTokenFromAddress();
wirePrefs(touch);
loginForm(byId('login-ways'), ['member'], enter);
byId('notice-close').addEventListener('click', () => change(() => { state.notice = null; }));
byId('alarm-close').addEventListener('click', () => change(() => { state.alarm = null; }));
byId('logout').addEventListener('click', logOut);
on('welcome', watchMember);
on('alarm', () => navigator.vibrate?.([300, 150, 300]));
on('joined', claimFromAddress);
subscribe(draw);
setInterval(touch, 500);
enter();

function enter() {
  const { sub } = session.claims();
  if (sub) follow('member', `member:${sub}`);
  wire.open();
}

function logOut() {
  for (const kind of Object.keys(watched)) follow(kind, null);
  wire.close();
  session.logOut();
  forget();
  wire.open();
}

function watchMember({ subject, role }) {
  if (role === 'member') follow('member', `member:${subject}`);
}

/** A camera that read the sticker opens this page with `#machine=` or `#code=`: that is a claim. */
function claimFromAddress({ room }) {
  if (!room.startsWith('member:') || !location.hash) return;
  const by = pointsAt(decodeURIComponent(location.hash));
  history.replaceState(null, '', location.pathname);
  if (by && !state.member?.claim) claim(by);
}

/** Watches a room in the place of another of its kind. One that was refused is asked for again: a hub that has just started hears of a
 * claim only when its machine has said hello. */
function follow(kind, room, options) {
  if (watched[kind] && watched[kind] !== room) wire.unwatch(watched[kind]);
  watched[kind] = room;
  if (room) wire.keepWatching(room, options);
}

/** The rooms that the claim asks for. A workout is followed until it is sealed or another begins. */
function followClaim() {
  const held = state.member?.claim;
  if (held) {
    follow('machine', `machine:${held.machine}`);
    follow('workout', `workout:${held.claim.workout}`, { history: true });
  } else if (state.member) {
    follow('machine', null);
    if (state.workout?.stage === 'sealed') follow('workout', null);
  }
  const gym = session.gyms()[0];
  const looking = state.member && !held && !state.workout && gym;
  follow('floor', looking ? `floor:${gym}` : null, { every_ms: FLOOR_EVERY_MS });
  if (!looking) state.floor = null;
  if (!held && state.machine) state.machine = null;
}

function draw() {
  followClaim();
  drawLink();
  show(byId('notice'), Boolean(state.notice));
  text(byId('notice').querySelector('.text'), state.notice ?? '');
  show(byId('alarm'), Boolean(state.alarm));
  if (state.alarm) text(byId('alarm').querySelector('.text'), `Heart rate ${state.alarm.heart_rate_bpm}: above your ceiling of ${state.alarm.ceiling_bpm}. Slow down.`);
  drawTaking();
  drawTraining();
  drawControls();
  drawEarned();
  drawPast();
  drawStopBar();
}
