// The pages in Chromium against a hub with its demo gym: nothing is played by a double. Where a test needs a silent or a cut link, it
// holds back frames on their way, as a bad network does; what arrives is the hub's own.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import { complaints, launch, open, overflows, words } from './support/browser.js';
import { login, startHub, until } from './support/hub.js';

/** @type {import('playwright-core').Browser} */ let browser;
/** @type {{url: string, stop: () => Promise<void>}} */ let hub;
/** @type {import('playwright-core').Page} */ let phone;
/** @type {{sent: any[], got: any[]}} */ const traffic = { sent: [], got: [] };

before(async () => { [hub, browser] = await Promise.all([startHub(), launch()]); }, { timeout: 120_000 });
after(async () => {
  await browser?.close();
  await hub?.stop();
});

const LONG = { timeout: 90_000 };
/** Readings, ticks and results come within seconds; a debug build on busy cores is given more. */
const SOON = 20_000;
const points = (page, field) => page.locator(`.chart[data-field="${field}"] .plot`).getAttribute('data-points', { timeout: 1000 }).then(Number, () => 0);
/** How many unbroken lines a chart draws. */
const lines = (page, field) => page.locator(`.chart[data-field="${field}"] .line`).getAttribute('d').then((path) => (path?.match(/M/g) ?? []).length);
const missing = (page) => page.locator('#charts').getAttribute('data-missing').then(Number);
const chartField = (page) => page.locator('.chart').evaluateAll((charts) => charts.map((chart) => chart.dataset.field));

/** A free machine with a code on its screen, as an operator reads it. */
async function freeCode(kinds = /^(treadmill|bike|rower|cross_trainer)$/) {
  const page = await open(browser, hub.url, { path: '/floor.html', role: 'operator', width: 1440, height: 900 });
  try {
    const free = page.locator('.tile[data-availability="available"]');
    return await until(async () => {
      for (const id of await free.evaluateAll((tiles) => tiles.map((tile) => `${tile.dataset.kind} ${tile.dataset.machine}`))) {
        const [kind, machine] = id.split(' ');
        if (!kinds.test(kind)) continue;
        await page.click(`.tile[data-machine="${machine}"]`);
        const code = await until(() => words(page, '[data-fact="Code on its screen"]').then((text) => text.match(/^\d{6}$/)?.[0]), 3000).catch(() => null);
        if (code) return code;
        await page.keyboard.press('Escape');
      }
      return null;
    }, 60_000);
  } finally {
    await page.context().close();
  }
}

/** A promise that is kept when told. */
function gate() {
  let open;
  const opened = new Promise((resolve) => { open = resolve; });
  return { opened, open };
}

/** Presses Tab until the element has the focus; false after `most` presses. */
async function tabTo(page, selector, most = 40) {
  for (let press = 0; press < most; press += 1) {
    if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return true;
    await page.keyboard.press('Tab');
  }
  return false;
}

async function claimByKeyboard(code) {
  assert.ok(await tabTo(phone, '#code'), 'the code field is reached by Tab');
  assert.notEqual(await phone.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', 'focus is seen');
  await phone.keyboard.press('Control+A');
  await phone.keyboard.type(code);
  assert.ok(await tabTo(phone, '#claim', 3), 'the button comes next');
  await phone.keyboard.press('Enter');
}

function listen(page) {
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => traffic.sent.push(JSON.parse(String(payload))));
    socket.on('framereceived', ({ payload }) => traffic.got.push(JSON.parse(String(payload))));
  });
}

test('the front page says what Spotter is not, and its dev login leads on', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/', width: 1440, height: 900 });
  assert.match(await words(page, '.notice'), /not an emergency stop/);
  await page.click('button[data-role="member"]');
  await page.waitForURL('**/phone.html', { timeout: SOON });
  await page.waitForSelector('#link[data-stage="live"]', { timeout: SOON });
  const stored = await page.evaluate(() => ({ local: Object.keys(localStorage), session: Object.keys(sessionStorage).sort() }));
  assert.deepEqual(stored.local, [], 'nothing is kept beyond the tab');
  assert.deepEqual(stored.session.filter((key) => !['spotter.token', 'spotter.ticket', 'spotter.login', 'spotter.device'].includes(key)), []);
  assert.ok(!page.url().includes('token'));
  await page.context().close();
});

test('the wall shows every machine without scrolling, and changes with the ticks', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/floor.html', role: 'display', width: 1920, height: 1080 });
  await until(() => page.locator('.tile').count().then((count) => count >= 20), SOON);
  await until(() => page.locator('.tile[data-availability="occupied"][data-fresh="fresh"]').count(), SOON);
  await page.evaluate(() => {
    const state = /** @type {any} */ (globalThis);
    state.shifted = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) state.shifted += /** @type {any} */ (entry).value; }).observe({ type: 'layout-shift' });
  });
  for (let change = 0; change < 4; change += 1) {
    const before = await words(page, '#grid');
    await until(() => words(page, '#grid').then((now) => now !== before), SOON);
  }
  const shifted = await page.evaluate(() => /** @type {any} */ (globalThis).shifted);
  assert.ok(shifted < 0.01, `nothing jumps when values change: ${shifted}`);
  await until(() => page.evaluate(() => document.body.classList.contains('wall') && document.documentElement.scrollHeight <= innerHeight), SOON);
  const shot = await page.screenshot();
  assert.ok(shot.length > 50_000, `a wall of values is no blank picture (${shot.length} bytes)`);
  await page.context().close();
});

test('values grow stale and then go blank by the page’s own clock when the hub falls silent', LONG, async () => {
  let silent = false;
  const page = await open(browser, hub.url, { path: '/floor.html', role: 'display', width: 1920, height: 1080, route: (target) => target.routeWebSocket('**/v1/ws', (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => { if (!silent) socket.send(message); });
  }) });
  const fresh = () => page.locator('.tile[data-fresh="fresh"]').count();
  await until(fresh, SOON);
  silent = true;
  await until(() => page.locator('.tile[data-fresh="stale"] .age').filter({ hasText: 's old' }).count(), SOON);
  await until(async () => await fresh() === 0 && await page.locator('.tile[data-fresh="stale"]').count() === 0, SOON);
  silent = false;
  await until(fresh, SOON);
  await page.context().close();
});

test('an operator sees what needs somebody first, and reads a machine’s code by keyboard', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/floor.html', role: 'operator', width: 1440, height: 900 });
  await page.waitForSelector('#attention:not([hidden])', { timeout: SOON });
  await page.waitForSelector('.tile', { timeout: SOON });
  assert.ok(await tabTo(page, 'button.tile', 60));
  const name = await page.evaluate(() => document.activeElement?.querySelector('.name')?.textContent);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#detail[open]');
  assert.equal(await words(page, '#detail-name'), name);
  await page.keyboard.press('Escape');
  await until(() => page.evaluate(() => document.activeElement?.matches('button.tile')), SOON);
  await page.context().close();
});

test('a wrong code is refused in words', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/phone.html', role: 'member' });
  await page.waitForSelector('#take:not([hidden]), #release:not([hidden])', { timeout: SOON });
  // A demo that somebody used before may still hold a machine for this member.
  if (await page.locator('#release').isVisible()) {
    await page.click('#release');
    await page.locator('#another').or(page.locator('#code')).first().waitFor({ timeout: SOON });
    await page.reload();
  }
  await page.waitForSelector('#take:not([hidden])', { timeout: SOON });
  await page.fill('#code', '12');
  await page.keyboard.press('Enter');
  assert.match(await words(page, '#claim-result'), /six digits/);
  await page.fill('#code', '000000');
  await page.keyboard.press('Enter');
  await until(() => words(page, '#claim-result').then((text) => /shows this code/.test(text)), SOON);
  await page.context().close();
});

test('a phone claims by the code shown, by keyboard alone, and its charts grow', LONG, async () => {
  phone = await open(browser, hub.url, { path: '/', role: undefined });
  listen(phone);
  await phone.goto(`${hub.url}/phone.html#token=${(await login(hub.url, 'member')).token}`);
  await phone.waitForSelector('#take:not([hidden])', { timeout: SOON });
  // A simulated member may be quicker, and a code may just have run out: then the next one, as a person would.
  for (let attempt = 0; !await phone.locator('#training').isVisible(); attempt += 1) {
    assert.ok(attempt < 4, `no claim was granted: ${await words(phone, '#claim-result')}`);
    await claimByKeyboard(await freeCode());
    await until(() => phone.locator('#training').isVisible().then(async (here) => here || /\S/.test((await words(phone, '#claim-result')).replace('Asking for the machine…', ''))), SOON);
  }
  await until(async () => (await chartField(phone)).length >= 1 && await points(phone, (await chartField(phone)).at(-1)) >= 5, SOON * 2);
  const field = (await chartField(phone)).at(-1);
  const had = await points(phone, field);
  await until(async () => await points(phone, field) > had, SOON);
  assert.equal(await missing(phone), 0);
});

test('saved is shown once the hub says stored', LONG, async () => {
  await until(() => phone.locator('#saved').getAttribute('data-saved').then((stage) => stage === 'all' || stage === 'some'), SOON);
  assert.ok(traffic.got.some((frame) => frame.t === 'saved'), 'a saved frame came before the mark');
  assert.match(await words(phone, '#saved'), /Saved to/);
});

test('saved is not shown while no frame says so, however many readings are seen', LONG, async () => {
  let held = true;
  const page = await open(browser, hub.url, { path: '/phone.html', role: 'member', route: (target) => target.routeWebSocket('**/v1/ws', (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => { if (!held || JSON.parse(String(message)).t !== 'saved') socket.send(message); });
  }) });
  await page.waitForSelector('#training:not([hidden])', { timeout: SOON });
  const seen = () => page.locator('#saved').getAttribute('data-seen').then(Number);
  const first = await until(seen, SOON);
  await until(async () => await seen() >= first + 3, SOON);
  assert.equal(await page.locator('#saved').getAttribute('data-saved'), 'none');
  assert.doesNotMatch(await words(page, '#saved'), /^Saved/);
  held = false;
  await until(() => words(page, '#saved').then((text) => /^Saved to/.test(text)), SOON);
  await page.context().close();
});

test('a reload brings the chart back without a gap', LONG, async () => {
  const field = (await chartField(phone)).at(-1);
  const had = await points(phone, field);
  const broken = await lines(phone, field);
  await phone.reload();
  await until(async () => await points(phone, field) >= had, SOON);
  assert.equal(await missing(phone), 0);
  assert.equal(await lines(phone, field), broken);
});

test('a cut network is resumed, and the readings of meanwhile are in the chart', LONG, async () => {
  const field = (await chartField(phone)).at(-1);
  const broken = await lines(phone, field);
  const had = await points(phone, field);
  await phone.context().setOffline(true);
  await phone.waitForSelector('#link[data-stage="waiting"], #link[data-stage="connecting"]', { timeout: SOON });
  // A heart rate is stale after 5 s: so long the link was away.
  await until(() => phone.locator('.now-value[data-field="heart_rate_bpm"]:not([data-fresh="fresh"])').count(), SOON);
  await phone.context().setOffline(false);
  await phone.waitForSelector('#link[data-stage="live"]', { timeout: SOON });
  await until(async () => await points(phone, field) >= had + 5, SOON);
  await until(async () => await missing(phone) === 0, SOON);
  assert.equal(await lines(phone, field), broken);
  const hello = traffic.sent.filter((frame) => frame.t === 'hello').at(-1);
  assert.ok(hello.ticket, 'resumed by ticket');
  assert.ok(hello.rooms.every((room) => room.epoch), 'each room from where it was known');
});

test('a control shows how far it truly came', LONG, async () => {
  const stepper = phone.locator('.stepper[data-target]').first();
  if (await stepper.count() === 0) { assert.match(await words(phone, '#control-hint'), /takes no targets|only|not control/); return; }
  const down = stepper.locator('button').first();
  await (await down.isEnabled() ? down : stepper.locator('button').last()).click();
  const result = () => stepper.locator('.result').getAttribute('data-result');
  await until(async () => ['applied', 'refused', 'unknown', 'expired', 'lost'].includes(String(await result())), SOON);
  const sent = traffic.sent.filter((frame) => frame.t === 'control').at(-1);
  const told = traffic.got.filter((frame) => frame.id === sent.id || frame.req === sent.req).map((frame) => frame.result ?? frame.t);
  assert.ok(await result() === 'applied' ? told.includes('applied') : true, `applied only where a frame said so: ${told}`);
});

test('nothing scrolls sideways at 200 % zoom and at 320 px, and the stop stays in reach', LONG, async () => {
  for (const [width, height] of [[195, 422], [320, 640], [720, 450]]) {
    for (const [path, role] of [['/', undefined], ['/floor.html', 'operator'], ['/board.html', 'display'], ['/phone.html', 'member']]) {
      const page = await open(browser, hub.url, { path, role, width, height });
      if (path === '/phone.html') await page.waitForSelector('#training:not([hidden])', { timeout: SOON });
      if (path === '/floor.html') await page.waitForSelector('.tile', { timeout: SOON });
      assert.equal(await overflows(page), false, `${path} at ${width} px`);
      if (path === '/phone.html') {
        const box = await page.locator('#stop').boundingBox();
        assert.ok(box && box.y + box.height <= height && box.height >= 44, `stop at ${width}x${height}: ${JSON.stringify(box)}`);
      }
      await page.context().close();
    }
  }
});

test('the board shows who agreed to be named, the best first, and moves on', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/board.html', role: 'display', width: 1280, height: 800 });
  const standings = () => page.locator('.standing').evaluateAll((lines) => lines.map((line) => ({
    who: line.querySelector('.who').textContent, rank: Number(line.querySelector('.rank').textContent), share: Number(line.querySelector('.share').style.getPropertyValue('--share')),
  })));
  const first = await until(async () => { const lines = await standings(); return lines.length >= 3 && lines[0].share > 0 ? lines : null; }, 60_000)
    .catch(async (error) => { throw new Error(`${error.message}\nThe page says: ${await page.locator('body').innerText()}\nand stands at ${await page.locator('#link').getAttribute('data-stage')}`); });
  // The demo's members with consent have one-word handles; a member without is nowhere in the room's frames.
  assert.ok(first.every(({ who }) => /^[A-Z][a-z]+$/.test(who)), JSON.stringify(first));
  assert.deepEqual(first.map(({ share }) => share), first.map(({ share }) => share).toSorted((a, b) => b - a));
  assert.equal(first[0].rank, 1);
  const score = await words(page, '.standing .score');
  await until(async () => (await words(page, '.standing .score')) !== score, SOON);
  await page.context().close();
});

test('a wall that was there before its board finds it', LONG, async () => {
  const none = (target) => target.route('**/v1/boards*', (route) => route.fulfill({ json: [] }), { times: 1 });
  const page = await open(browser, hub.url, { path: '/board.html', role: 'display', width: 1280, height: 800, route: none });
  await page.locator('#empty').filter({ hasText: 'No board is up' }).waitFor({ timeout: SOON });
  await page.locator('.standing').first().waitFor({ timeout: SOON });
  await page.context().close();
});

test('a room that the page wants between its hello and the hub’s welcome is watched', LONG, async () => {
  const [greeted, known] = [gate(), gate()];
  const between = async (target) => {
    await target.routeWebSocket('**/v1/ws', (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((message) => { server.send(message); greeted.open(); });
      server.onMessage((message) => known.opened.then(() => socket.send(message)));
    });
    await target.route('**/v1/boards*', async (route) => {
      await greeted.opened;
      await route.continue();
    });
    // The links to boards are drawn with what the page wants to watch; a frame later it has told its wire.
    target.locator('#others a').first().waitFor({ state: 'attached', timeout: SOON })
      .then(() => target.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))))
      .then(known.open);
  };
  const page = await open(browser, hub.url, { path: '/board.html', role: 'display', width: 1280, height: 800, route: between });
  await page.locator('.standing').first().waitFor({ timeout: SOON });
  await page.context().close();
});

test('light and dark are two looks, and both show something', LONG, async () => {
  for (const [path, role] of [['/', undefined], ['/floor.html', 'operator'], ['/board.html', 'display'], ['/phone.html', 'member']]) {
    const looks = [];
    for (const scheme of /** @type {const} */ (['light', 'dark'])) {
      const page = await open(browser, hub.url, { path, role, scheme, width: 1440, height: 900 });
      if (role) await page.waitForSelector('#link[data-stage="live"]', { timeout: SOON });
      const shot = await page.screenshot();
      assert.ok(shot.length > 15_000, `${path} in ${scheme}: ${shot.length} bytes`);
      looks.push(await page.evaluate(() => getComputedStyle(document.body).backgroundColor));
      await page.click('[data-pref="theme"]');
      assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), looks.at(-1), 'the toggle works');
      await page.context().close();
    }
    assert.notEqual(looks[0], looks[1]);
  }
});

test('kilometres become miles at once', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/floor.html', role: 'display', width: 1920, height: 1080 });
  await until(() => page.getByText('km/h').count(), SOON);
  await page.click('[data-pref="units"]');
  await until(() => page.getByText('mph').count(), SOON);
  assert.equal(await page.getByText('km/h').count(), 0);
  await page.context().close();
});

test('whoever wants no motion gets none', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/phone.html', motion: 'reduce' });
  assert.equal(await page.evaluate(() => [...document.querySelectorAll('*')].every((node) => getComputedStyle(node).animationName === 'none' && parseFloat(getComputedStyle(node).transitionDuration) === 0)), true);
  await page.context().close();
});

test('a close that says stop is obeyed, one that says log in asks for it', LONG, async () => {
  for (const [code, stage] of /** @type {const} */ ([[4203, 'stopped'], [4101, 'log_in']])) {
    let connections = 0;
    const page = await open(browser, hub.url, { path: '/phone.html', role: 'member', route: (target) => target.routeWebSocket('**/v1/ws', (socket) => {
      connections += 1;
      const server = socket.connectToServer();
      server.onMessage((message) => { socket.send(message); if (JSON.parse(String(message)).t === 'welcome') socket.close({ code }); });
    }) });
    await page.waitForSelector(`#link[data-stage="${stage}"]`, { timeout: SOON });
    assert.equal(await page.locator('#login').isVisible(), true);
    assert.equal(connections, 1);
    await page.context().close();
  }
});

test('a stop without a word is never shown as done', LONG, async () => {
  const page = await open(browser, hub.url, { path: '/phone.html', role: 'member', route: (target) => target.routeWebSocket('**/v1/ws', (socket) => {
    const server = socket.connectToServer();
    // The stop is lost on its way, and so is any word of it.
    socket.onMessage((message) => { if (JSON.parse(String(message)).t !== 'stop') server.send(message); });
  }) });
  await page.waitForSelector('#stop-bar:not([hidden])', { timeout: SOON });
  await page.click('#stop');
  await until(() => words(page, '#stop-result').then((text) => /Not confirmed: use the machine’s own stop/.test(text)), SOON);
  await page.context().close();
});

test('a stop is repeated under one id and shows its result', LONG, async () => {
  assert.ok(await phone.locator('#stop').isVisible());
  const from = traffic.sent.length;
  await phone.keyboard.press('Escape');
  await phone.locator('#stop').focus();
  await phone.keyboard.press('Enter');
  await until(() => phone.locator('#stop-result').getAttribute('data-result').then((result) => ['stopped', 'refused', 'unconfirmed'].includes(String(result))), SOON);
  const sent = traffic.sent.slice(from).filter((frame) => frame.t === 'stop');
  assert.ok(sent.length >= 1);
  assert.equal(new Set(sent.map((frame) => frame.id)).size, 1, 'one id');
  const told = traffic.got.filter((frame) => frame.t === 'stop_result' && frame.id === sent[0].id);
  const shown = await phone.locator('#stop-result').getAttribute('data-result');
  if (shown === 'stopped') assert.ok(told.some((frame) => frame.result === 'stopped'), 'stopped only where the hub said so');
  assert.match(await words(phone, '#stop-result'), /Stopped|machine’s own stop/);
});

test('a machine is given back', LONG, async () => {
  await phone.click('#release');
  await phone.waitForSelector('#stop-bar', { state: 'hidden', timeout: SOON });
  await until(() => words(phone, '#machine-state').then((text) => /Ended|Finished/.test(text)), SOON);
  await phone.click('#another');
  await phone.waitForSelector('#take:not([hidden])', { timeout: SOON });
});

/** Ten seconds of a ride on a watch, each time at another minute of the year. */
const ride = (minute) => {
  const start = Date.UTC(2026, 0, 1) + minute * 60_000;
  const point = (second) => `<Trackpoint><Time>${new Date(start + second * 1000).toISOString()}</Time><DistanceMeters>${second * 8}</DistanceMeters><HeartRateBpm><Value>${120 + second}</Value></HeartRateBpm></Trackpoint>`;
  return `<TrainingCenterDatabase><Activities><Activity Sport="Biking"><Lap><Track>${Array.from({ length: 11 }, (_, second) => point(second)).join('')}</Track></Lap></Activity></Activities></TrainingCenterDatabase>`;
};

test('a recording of a watch comes in once, and goes out as a file', LONG, async () => {
  await phone.waitForSelector('#past:not([hidden])', { timeout: SOON });
  const file = { name: 'ride.tcx', mimeType: 'application/xml', buffer: Buffer.from(ride(Date.now() % 200_000)) };
  for (const wanted of [/^Ride of .* added/, /^Ride of .* was here already/]) {
    await phone.setInputFiles('#upload', file);
    await until(() => words(phone, '#past-result').then((text) => wanted.test(text)), SOON);
  }
  const row = phone.locator('#past-list li').filter({ hasText: '0.08 km' }).first();
  await row.waitFor({ timeout: SOON });
  const [saved] = await Promise.all([phone.waitForEvent('download', { timeout: SOON }), row.locator('button[data-kind="fit"]').click()]);
  assert.match(saved.suggestedFilename(), /^workout-[0-9a-f-]{36}\.fit$/);
  const bytes = await readFile(await saved.path());
  assert.equal(bytes.subarray(8, 12).toString('latin1'), '.FIT');
  assert.equal(bytes.readUInt32LE(4) + bytes[0] + 2, bytes.length, 'the file is as long as its header says');
  if (process.env.SPOTTER_SHOT) await phone.screenshot({ path: `${process.env.SPOTTER_SHOT}/past.png`, fullPage: true });
});

test('a sticker waits for a second sign, and staff can give it', LONG, async () => {
  const staff = await open(browser, hub.url, { path: '/floor.html', role: 'operator', width: 1440, height: 900 });
  await staff.waitForSelector('.tile', { timeout: SOON });
  const machine = await until(() => staff.locator('.tile[data-availability="available"]').evaluateAll((tiles) => tiles[0]?.dataset.machine), 60_000);
  // As the camera of a phone opens the sticker's link.
  const page = await open(browser, hub.url, { path: '/' });
  const { token } = await login(hub.url, 'member');
  await page.goto(`${hub.url}/phone.html#machine=${machine}&token=${token}`);
  await page.waitForSelector('#awaiting:not([hidden])', { timeout: SOON });
  assert.ok(Number(await words(page, '#awaiting-left')) > 30);
  await staff.locator('#attention-list button').filter({ hasText: 'second sign' }).click();
  await staff.click('#detail-approve');
  await page.waitForSelector('#training:not([hidden])', { timeout: SOON });
  assert.equal(await page.locator('#stop').isVisible(), true);
  await page.click('#release');
  await page.waitForSelector('#stop-bar', { state: 'hidden', timeout: SOON });
  await page.context().close();
  await staff.context().close();
});

test('logging out leaves nothing behind', LONG, async () => {
  await phone.click('#logout');
  await phone.waitForSelector('#login:not([hidden])', { timeout: SOON });
  assert.equal(await phone.locator('#take').isVisible(), false);
  assert.deepEqual(await phone.evaluate(() => [sessionStorage.getItem('spotter.token'), sessionStorage.getItem('spotter.ticket')]), [null, null]);
  await phone.context().close();
});

test('no page complained, and no content policy was broken', () => {
  assert.deepEqual(complaints, []);
});
