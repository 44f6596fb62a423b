// node screenshots.mjs FOLDER: pictures of the demo's dashboard, as it is after a few people have come and gone.
//
// Always the same people and the same sizes; only times and random ids differ from run to run.

import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { launch, Visit } from './chromium.mjs';
import { PAGES, ready, turn } from './owner.mjs';
import { controls, startDemo } from './programs.mjs';
import { DESKTOP } from './usable.mjs';

const folder = resolve(process.argv[2]);
const PEOPLE = [
  ['Mariam El-Sayed', 'mariam@example.org'], ['Jonas Weber', 'jonas.weber@example.org'], ['Chloé Martin', 'chloe@example.org'],
  ['أحمد منصور', 'ahmed.mansour@example.net'], ['Priya Raman', 'priya@example.net'], ['Tomás Ortega', 'tomas@example.net'],
];

await mkdir(folder, { recursive: true });
const demo = await startDemo();
const browser = await launch();
const { control, origin } = controls(demo.emulator_base_url);
const visit = new Visit(browser, [demo.base_url, origin]);
// It is made to happen below.
visit.expectStatus(409);
try {
  for (const [name, email] of PEOPLE) await control('people', { email, name });
  const ids = {};
  for (const email of ['alice@example.org', 'bob.sample@gmail.com', 'liat.dugma@gmail.com', ...PEOPLE.map(([, email]) => email)]) {
    const { code } = await control('codes', { person: email });
    const response = await fetch(`${demo.base_url}/v1/exchange`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-requested-with': 'screenshots' },
      body: JSON.stringify({ code, source: 'ios' }),
    });
    const body = await response.json();
    assert.equal(response.status, 200, JSON.stringify(body));
    ids[email] = body.user.id;
  }
  const page = await visit.open({ ...DESKTOP, colorScheme: 'light', locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' });
  await page.goto(demo.dashboard_url);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await ready(page, 'overview');
  const call = (method, path, body) => page.evaluate(async ([method, path, body]) => (await fetch(path, {
    method,
    headers: { 'X-Requested-With': 'locum', 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  })).status, [method, path, body]);

  await call('POST', '/v1/keys', { name: 'night job', actions: ['tokens:read', 'users:read'], users: 'all', expires_in: 2_592_000 });
  await call('POST', '/v1/keys', { name: 'newsletter', actions: ['tokens:read'], users: [ids['mariam@example.org']], expires_in: 31_536_000 });
  for (const path of ['plans/today.json', 'plans/week.json', 'notes.txt', 'settings.json']) {
    assert.equal(await call('PUT', `/v1/users/${ids['mariam@example.org']}/app-data/${path}`, { path }), 201);
  }
  const { clients: [{ client_id }] } = await (await fetch(new URL('/emulator/state', origin))).json();
  await control('withdraw', { person: 'tomas@example.net', project: client_id });
  assert.equal(await call('POST', `/v1/users/${ids['tomas@example.net']}/refresh`), 409);
  assert.equal(await call('POST', `/v1/users/${ids['jonas.weber@example.org']}/refresh`), 200);
  assert.equal(await call('POST', '/v1/connect-links', { user: ids['tomas@example.net'] }), 201);

  const take = async (name) => {
    await page.evaluate(() => { scrollTo(0, 0); document.activeElement?.blur(); });
    // Where nothing lights up under it.
    await page.mouse.move(0, 0);
    await page.screenshot({ path: join(folder, `${name}.png`), animations: 'disabled' });
  };
  await page.reload();
  await ready(page, 'overview');
  await take('overview');
  for (const name of Object.keys(PAGES).slice(1)) {
    await turn(page, name);
    await take(name);
  }
  await page.goto(`${demo.base_url}/#/people/${ids['mariam@example.org']}/app-data`);
  await ready(page, 'person');
  await take('person');
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(`${demo.base_url}/#/`);
  await ready(page, 'overview');
  await take('overview-dark');
  await page.setViewportSize({ width: 390, height: 844 });
  await page.emulateMedia({ colorScheme: 'light' });
  await take('overview-phone');
  visit.judge();
} finally {
  await visit.close();
  await browser.close();
  await demo.stop();
}
