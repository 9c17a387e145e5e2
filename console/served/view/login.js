// Logging in: the personas that a hub in the `dev` profile offers, or a token that somebody has. In: presses. Out: a token in the session.

import { devLogin, LoginError, personaInAddress, personas, useToken } from '../session.js';
import { h, text } from './dom.js';

/**
 * Fills a container with the ways to log in.
 * @param {HTMLElement} container
 * @param {string[]} roles which logins make sense here
 * @param {(role: string|null) => void} done called with the role once there is a token
 */
export async function loginForm(container, roles, done) {
  const result = h('p', { class: 'result', role: 'status' });
  const offered = h('div', { class: 'roles' });
  container.append(offered, result, tokenForm(container.id, done));
  const found = (await personas()).filter(({ role }) => roles.includes(role));
  const buttons = found.map(({ name, title, role }) => h('button', { type: 'button', class: 'button', data: { role, persona: name }, onclick: () => enter(name) }, title));
  offered.append(...buttons);
  if (found.length === 0) container.querySelector('details').open = true;
  const wanted = personaInAddress();
  if (found.some(({ name }) => name === wanted)) await enter(wanted);

  async function enter(persona) {
    for (const button of buttons) button.disabled = true;
    text(result, 'Logging in…');
    try {
      const { role } = await devLogin({ persona });
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

function tokenForm(prefix, done) {
  const field = h('input', { id: `${prefix}-token`, type: 'password', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': `${prefix}-hint` });
  const use = (event) => {
    event.preventDefault();
    if (!field.value.trim()) return;
    useToken(field.value, null);
    field.value = '';
    done(null);
  };
  return h('details', {}, h('summary', {}, 'I have a token'),
    h('form', { class: 'token', onsubmit: use }, h('label', { for: field.id }, 'Access token'),
      h('div', { class: 'row' }, field, h('button', { class: 'button', type: 'submit' }, 'Use token')),
      h('p', { class: 'hint', id: `${prefix}-hint` }, 'From your own login. It stays in this tab.')));
}
