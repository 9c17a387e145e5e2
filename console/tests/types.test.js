// The pages say what the protocol means: TypeScript reads their JSDoc against the generated `protocol.d.ts`.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const consoleFolder = fileURLToPath(new URL('..', import.meta.url));

test('frames and events are used as the protocol has them', { timeout: 60_000 }, async () => {
  const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
  const said = await new Promise((resolve) => {
    execFile(process.execPath, [tsc, '-p', 'jsconfig.json'], { cwd: consoleFolder }, (error, out) => resolve(error ? `${error.message}\n${out}` : ''));
  });
  assert.equal(said, '');
});
