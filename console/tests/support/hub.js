// A hub with its demo gym for the browser tests. In: SPOTTER_URL of one that runs, or SPOTTER_BIN to start one.
// Out: its URL, logins, and an end. What is started here is stopped here, by its pid, and leaves no folder behind.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A debug build on two busy cores starts well within this. */
const START_LIFE_MS = 60_000;
const STOP_LIFE_MS = 20_000;

/** Starts a hub, or takes the one that runs. @returns {Promise<{url: string, stop: () => Promise<void>}>} */
export async function startHub() {
  if (process.env.SPOTTER_URL) return { url: process.env.SPOTTER_URL.replace(/\/$/, ''), stop: async () => {} };
  if (!process.env.SPOTTER_BIN) throw new Error('Set SPOTTER_BIN to the built binary, or SPOTTER_URL to a demo that runs.');
  const folder = await mkdtemp(join(tmpdir(), 'spotter-console-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.env.SPOTTER_BIN, ['demo', '--set', `listen.address=127.0.0.1:${port}`, '--set', `store.url=sqlite:${join(folder, 'demo.db')}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => { said = (said + chunk).slice(-8000); });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    await until(() => answers(`${url}/health`), START_LIFE_MS, () => (child.exitCode === null ? null : `The demo ended with ${child.exitCode}:\n${said}`));
  } catch (error) {
    child.kill('SIGKILL');
    throw new Error(`${error.message}\n${said}`);
  }
  return { url, stop: () => stop(child, ended, folder) };
}

async function stop(child, ended, folder) {
  child.kill('SIGINT');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_LIFE_MS);
  await ended;
  clearTimeout(timer);
  await rm(folder, { recursive: true, force: true });
}

const answers = (url) => fetch(url, { signal: AbortSignal.timeout(1000) }).then((answer) => answer.ok, () => false);

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/**
 * Waits for a condition, and says what it waited for.
 * @template T
 * @param {() => Promise<T>|T} condition
 * @param {number} lifeMs
 * @param {() => string|null} [broken] ends the wait early, with words
 * @returns {Promise<T>} the first value that holds
 */
export async function until(condition, lifeMs, broken = () => null) {
  const end = performance.now() + lifeMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    const words = broken();
    if (words) throw new Error(words);
    if (performance.now() > end) throw new Error(`Not so within ${lifeMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Logs in by the dev issuer. @returns {Promise<{token: string}>} */
export async function login(url, role) {
  const answer = await fetch(`${url}/v1/dev/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ role }) });
  if (!answer.ok) throw new Error(`dev login as ${role}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}
