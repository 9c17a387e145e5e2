// Workouts as files over HTTP, with the session's token: the list of past ones, one as FIT or TCX, and a file of one's own watch.
// In: presses. Out: what the hub answered, or a `FileError` in words for the person. Keeps nothing.

import { claims, token } from '../session.js';

/** A list is short; a file may be megabytes on a phone's link. */
const LIST_LIFE_MS = 8_000;
const FILE_LIFE_MS = 60_000;

/** Why it was not done, in words. */
export class FileError extends Error {}

/**
 * @typedef {{workout: string, stage: string, started_at_ms: number, ended_at_ms?: number, totals?: Record<string, number>}} Past
 * @typedef {{workout: string, fresh: boolean, format: string, sport: string, started_at_ms: number, readings: number, sets: number, overlaps: string[]}} Uploaded
 */

async function ask(path, lifeMs, init = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...init, headers: { authorization: `Bearer ${token()}` }, signal: AbortSignal.timeout(lifeMs) });
  } catch {
    throw new FileError('The hub does not answer. Try again.');
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => ({}));
  throw new FileError([body.text ?? `The hub refused it (${answer.status}).`, body.detail].filter(Boolean).join(' '));
}

/** The newest workouts. @returns {Promise<Past[]>} */
export async function pastWorkouts(limit) {
  const answer = await ask(`/v1/workouts?limit=${limit}`, LIST_LIFE_MS);
  return (await answer.json()).items;
}

/** Saves a workout as a file of this kind. @param {'fit'|'tcx'} kind */
export async function download(workout, kind) {
  const answer = await ask(`/v1/workouts/${workout}/export.${kind}`, FILE_LIFE_MS);
  const url = URL.createObjectURL(await answer.blob());
  const link = Object.assign(document.createElement('a'), { href: url, download: `workout-${workout}.${kind}` });
  link.click();
  // The browser has taken the file by its next turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Sends a file as it is. @param {File} file @returns {Promise<Uploaded>} */
export async function upload(file) {
  const answer = await ask(`/v1/members/${claims().sub}/uploads`, FILE_LIFE_MS, { method: 'POST', body: file });
  return answer.json();
}
