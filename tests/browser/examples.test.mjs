// The examples of docs/examples that are for browsers, as they stand there but for their addresses.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { withBrowser } from './chromium.mjs';
import { consent } from './consent.mjs';
import { freePort, startElsewhere, startSite } from './programs.mjs';

const example = (name) => readFile(new URL(`../../docs/examples/${name}`, import.meta.url), 'utf8');

/** Replaces all of what has to stand there. */
function replaced(text, words) {
  for (const [from, to] of Object.entries(words)) {
    assert(text.includes(from), `the example says ${from}`);
    text = text.replaceAll(from, to);
  }
  return text;
}

const browse = withBrowser(async () => {
  const shop = await startElsewhere({});
  const port = await freePort();
  const site = await startSite({ returnTo: [`http://localhost:${port}/welcome`], corsOrigins: [shop.origin], only: true });
  shop.pages['/popup'] = replaced(await example('popup.html'), {
    'https://locum.example.org': site.base,
    '402839145520-r7d1s0example.apps.googleusercontent.com': site.google.client_id,
  });
  return { ...site, shop, port, stop: async () => { shop.stop(); await site.stop(); } };
});

/** What Google's script does as far as the example uses it; the popup itself is Google's. */
const GOOGLES_SCRIPT = `window.google = { accounts: { oauth2: { initCodeClient: (options) => ({
  requestCode: async () => options.callback({ state: options.state, ...await window.codeOfPopup(options) }),
}) } } };`;

browse('popup.html connects whoever agrees in Google’s popup', async ({ site, visit, page }) => {
  visit.allow(site.shop.origin);
  // Answered here: the request never leaves the browser.
  visit.allow('https://accounts.google.com');
  await page.route('https://accounts.google.com/gsi/client', (route) => route.fulfill({ contentType: 'text/javascript', body: GOOGLES_SCRIPT }));
  await page.exposeFunction('codeOfPopup', async ({ client_id, scope, ux_mode }) => {
    assert.equal(ux_mode, 'popup');
    return site.google.control('codes', { client_id, person: 'alice@example.org', scopes: scope, redirect_uri: 'postmessage' });
  });
  await page.goto(`${site.shop.origin}/popup`);
  await page.getByRole('button', { name: 'Connect Google' }).click();
  await page.getByRole('button', { name: 'Connected as alice@example.org' }).waitFor();
  assert.deepEqual(await site.connected(), ['alice@example.org']);
});

const python = spawnSync('python3', ['--version']).status === 0;

browse('site.py learns who signed in, and says so', async ({ site, visit, page }) => {
  const origin = `http://localhost:${site.port}`;
  visit.allow(origin);
  const program = join(site.folder, 'site.py');
  await writeFile(program, replaced(await example('site.py'), { 8000: String(site.port) }));
  const server = spawn('python3', ['-u', program], { env: { ...process.env, LOCUM: site.base }, stdio: 'ignore' });
  try {
    await listening(origin);
    // It has no picture for the browser, which asks for one.
    visit.mayHappen(/status of 404 .*favicon\.ico/);
    await page.goto(origin);
    await page.getByRole('link', { name: 'Sign in' }).click();
    await consent(page, { person: 'Bob Sample' });
    await page.getByText('Signed in as bob.sample@gmail.com').waitFor();
    assert.equal(page.url(), `${origin}/`);
    const stranger = await visit.open();
    await stranger.goto(origin);
    await stranger.getByRole('link', { name: 'Sign in' }).waitFor();
  } finally {
    server.kill();
    await once(server, 'exit');
  }
}, { skip: !python && 'it needs python3' });

/** Asks until somebody answers. */
async function listening(origin) {
  const until = Date.now() + 20_000;
  for (;;) {
    try {
      await fetch(origin);
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await new Promise(setImmediate);
    }
  }
}
