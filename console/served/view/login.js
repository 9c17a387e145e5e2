// Logging in: the hub's dev logins where it offers them, or a pasted token. In: presses. Out: a token in the session.

import { DEV_ROLES, devLogin, LoginError, useToken } from '../session.js';
import { h, text } from './dom.js';

const WORDS = { member: 'Member', operator: 'Operator', coach: 'Coach', display: 'Wall display' };

/**
 * Fills a container with the ways to log in.
 * @param {HTMLElement} container
 * @param {string[]} roles which dev logins make sense here
 * @param {(role: string|null) => void} done called with the role once there is a token
 */
export function loginForm(container, roles, done) {
  const result = h('p', { class: 'result', role: 'status' });
  const buttons = DEV_ROLES.filter((role) => roles.includes(role)).map((role) => h('button', { type: 'button', class: 'button', data: { role }, onclick: () => enter(role) }, WORDS[role]));
  const field = h('input', { id: `${container.id}-token`, type: 'password', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': `${container.id}-hint` });
  const form = h('form', { class: 'token', onsubmit: (event) => { event.preventDefault(); if (field.value.trim()) { useToken(field.value, null); field.value = ''; done(null); } } },
    h('label', { for: field.id }, 'Access token'), h('div', { class: 'row' }, field, h('button', { class: 'button', type: 'submit' }, 'Use token')),
    h('p', { class: 'hint', id: `${container.id}-hint` }, 'From your own login. It stays in this tab and is forgotten with it.'));
  container.append(h('div', { class: 'row roles' }, ...buttons), result, h('details', {}, h('summary', {}, 'I have a token'), form));

  async function enter(role) {
    for (const button of buttons) button.disabled = true;
    text(result, 'Logging in…');
    try {
      await devLogin({ role });
      text(result, '');
      done(role);
    } catch (error) {
      if (!(error instanceof LoginError)) throw error;
      text(result, error.message);
    } finally {
      for (const button of buttons) button.disabled = false;
    }
  }
}
