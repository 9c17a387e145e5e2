// The pill that says whether this page is live, and the login form where it cannot be.
// In: `state.link`. Out: text with a colour and a word, never colour alone.

import { state } from '../store.js';
import { byId, show, text } from './dom.js';

const WORDS = { idle: 'Not connected', connecting: 'Connecting…', live: 'Live', waiting: 'Reconnecting…', log_in: 'Log in', stopped: 'Stopped' };

/** Draws the pill and, where a login is needed, the form. */
export function drawLink() {
  const { stage, text: why } = state.link;
  const pill = byId('link');
  if (pill.dataset.stage !== stage) pill.dataset.stage = stage;
  text(pill.querySelector('.word'), WORDS[stage]);
  const login = byId('login');
  if (login) {
    show(login, stage === 'log_in' || stage === 'stopped');
    text(login.querySelector('.why'), why);
  }
}
