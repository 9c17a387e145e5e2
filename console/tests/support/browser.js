// Chromium for the tests: pages that report every console error and every violation of their Content-Security-Policy.
// In: CHROMIUM, or /usr/bin/chromium. Out: pages that are logged in, and what they complained of.

import { chromium } from 'playwright-core';

import { login } from './hub.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];

/** @returns {Promise<import('playwright-core').Browser>} */
export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: FLAGS });

/** Everything that any page complained of; the last test wants it empty. @type {string[]} */
export const complaints = [];

/**
 * Opens a page, logged in as a role through the address, as links of a demo do.
 * @param {import('playwright-core').Browser} browser
 * @param {string} url of the hub
 * @param {{path: string, role?: string, width?: number, height?: number, scheme?: 'light'|'dark', motion?: 'reduce'|'no-preference', route?: (page: import('playwright-core').Page) => Promise<void>}} how
 */
export async function open(browser, url, { path, role, width = 390, height = 844, scheme = 'dark', motion = 'no-preference', route }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: motion, locale: 'en-IE' });
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`${path}: ${error.message}`));
  page.on('console', (message) => { if (message.type() === 'error' && !lostLink(message.text())) complaints.push(`${path}: ${message.text()}`); });
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
  });
  if (route) await route(page);
  const token = role ? (await login(url, role)).token : null;
  await page.goto(`${url}${path}${token ? `#token=${token}` : ''}`);
  return page;
}

/** The browser itself reports a socket that we cut on purpose. */
const lostLink = (text) => /WebSocket connection to .* failed|net::ERR_INTERNET_DISCONNECTED/.test(text);

/** The words of an element, or an empty text while it is not there. */
export const words = (page, selector) => page.locator(selector).first().textContent({ timeout: 1000 }).then((text) => text ?? '', () => '');

/** Whether the page is wider than its window. */
export const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
