// Whether the instrument sees what it is there to see: a page with every fault, on a site of its own.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { startElsewhere } from './programs.mjs';
import { assertAccessible, assertFits, PHONE } from './usable.mjs';

const browse = withBrowser(async () => {
  const bad = await startElsewhere({
    '/': {
      headers: { 'content-security-policy': "img-src 'self'" },
      body: `<!doctype html><html lang="en"><title>Bad</title><style>p { color: #ccc; background: #fff; } div { width: 3000px; }</style>
        <p>Hard to read <img src="/nothing"><img src="data:,"> <input> <button></button></p><div>wide</div>
        <script>console.error('an error'); alert('a dialog'); fetch('http://elsewhere.example/').catch(() => {}); null.nothing;</script>`,
    },
    '/good': '<!doctype html><html lang="en"><title>Good</title><main><h1>Good</h1><p>Fine</p></main>',
  });
  return { base: bad.origin, google: { origin: bad.origin }, stop: bad.stop };
});

browse('each fault of a page is seen', async ({ site, visit, page }) => {
  for (const fault of [
    /^console: an error/, /^dialog: a dialog/, /^request: GET http:\/\/elsewhere\.example$/, /^exception: TypeError/,
    /^console: policy: img-src refused data/, /^console: Failed to load resource: the server responded with a status of 404 .*nothing/,
    // What became of the request.
    /CORS policy|ERR_NAME_NOT_RESOLVED|ERR_FAILED|Content Security Policy/,
  ]) visit.expect(fault);
  await page.goto(site.base);
  await assert.rejects(assertFits(page, 'bad'), /nothing at the side/);
  await assert.rejects(assertAccessible(page, 'bad'), (error) => {
    const found = error.actual.map(({ id }) => id);
    for (const rule of ['color-contrast', 'image-alt', 'label', 'button-name']) assert(found.includes(rule), `${rule}: ${found}`);
    return true;
  });
}, PHONE);

browse('a fault that does not come is missed', async ({ site, visit, page }) => {
  await page.goto(`${site.base}/good`);
  await assertFits(page, 'good');
  await assertAccessible(page, 'good');
  visit.judge();
  visit.expect(/^console: an error/);
  assert.throws(() => visit.judge(), /what has to go wrong does/);
  await page.evaluate(() => console.error('an error'));
  await Promise.all([page.waitForEvent('console', (message) => message.text().includes('404')), page.evaluate(() => fetch('/missing'))]);
  assert.throws(() => visit.judge(), /nothing goes wrong in the pages/);
  visit.expectStatus(404);
});
