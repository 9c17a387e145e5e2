// The front page: what this is, where to go, and the logins that a `dev` hub offers.
// In: presses. Out: a token in this tab, then the page that suits the role.

import { byId, text } from '../view/dom.js';
import { loginForm } from '../view/login.js';
import { wirePrefs } from '../prefs.js';
import * as session from '../session.js';

const PAGE_OF = { member: '/phone.html', operator: '/floor.html', coach: '/floor.html', display: '/floor.html' };

session.takeTokenFromAddress();
wirePrefs(() => {});
loginForm(byId('login-ways'), Object.keys(PAGE_OF), (role) => {
  const page = PAGE_OF[role ?? session.claims().role];
  if (page) location.assign(page); else sayWho();
});
sayWho();

function sayWho() {
  const { role } = session.claims();
  text(byId('login-state'), role ? `This tab is logged in as ${role.replace('_', ' ')}. Choose another below, or a page above.` : 'A login holds for this tab and is forgotten with it.');
}
