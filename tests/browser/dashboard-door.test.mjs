// The owner's way into the dashboard and out of it, and what others try at its door.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { arrive, consent } from './consent.mjs';
import { enter, ready } from './owner.mjs';
import { startElsewhere, startSite } from './programs.mjs';

const browse = withBrowser(async () => {
  // For browsers localhost is another site than locum's, and another port of 127.0.0.1 the same: cookies go along.
  const evil = await startElsewhere({});
  const neighbour = await startElsewhere({}, '127.0.0.1');
  const site = await startSite({ owners: ['alice@example.org'] });
  return { ...site, evil, neighbour, stop: async () => { evil.stop(); neighbour.stop(); await site.stop(); } };
});

/** What the dashboard's own pages are told when they ask who is signed in. */
const whoami = (page) => page.evaluate(async () => {
  const response = await fetch('/v1/dashboard', { headers: { 'X-Requested-With': 'locum' } });
  return response.ok ? (await response.json()).signed_in_as : response.status;
});

browse('a link signs one browser in, once', async ({ site, visit, page }) => {
  visit.expectStatus(410);
  const url = await site.loginLink();
  for (const method of ['HEAD', 'GET', 'GET']) await fetch(url, { method, headers: { 'user-agent': 'Slackbot' } });
  await page.goto(url);
  await page.getByRole('heading', { name: 'Open the dashboard' }).waitFor();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await ready(page, 'overview');
  assert.equal(page.url(), `${site.base}/`);
  assert.equal(await whoami(page), 'link');
  assert.equal(await page.evaluate(() => document.cookie), '');
  const [cookie, ...more] = await page.context().cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path, more], [true, 'Strict', '/', []]);

  const other = await visit.open();
  await other.goto(url);
  await arrive(other, 'This link is no longer good');
  await other.getByText('locum admin link').waitFor();
  assert.deepEqual(await other.context().cookies(), []);
});

browse('signing out ends the session here and at locum', async ({ site, visit, page }) => {
  // What the page still asks for while it goes.
  visit.mayHappen(/status of 401/);
  await enter(page, site);
  const cookies = await page.context().cookies();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await arrive(page, 'Sign in');
  assert.deepEqual(await page.context().cookies(), []);
  // Not even with the cookie as it was.
  await page.context().addCookies(cookies);
  assert.equal((await page.context().request.get(`${site.base}/v1/dashboard`)).status(), 401);
  await page.goto(site.base);
  await arrive(page, 'Sign in');
});

browse('signing out everywhere ends other browsers too', async ({ site, visit, page }) => {
  visit.mayHappen(/status of 401/);
  const other = await visit.open();
  await enter(other, site, 'keys');
  await enter(page, site, 'system');
  await page.getByRole('button', { name: 'Sign out everywhere…' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Sign out everywhere' }).click();
  await arrive(page, 'Sign in');
  // Nobody touches the other one: its live feed ends, and may not be opened again.
  await arrive(other, 'Sign in');
});

browse('a listed Google account opens it, another does not', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.expectStatus(403);
  await page.goto(site.base);
  await page.getByRole('button', { name: /Google/ }).click();
  await consent(page, { person: 'Bob Sample' });
  await page.getByRole('heading', { name: 'This account may not open the dashboard' }).waitFor();
  await page.goto(site.base);
  await arrive(page, 'Sign in');

  await page.getByRole('button', { name: /Google/ }).click();
  await consent(page, { person: 'Alice Example' });
  await ready(page, 'overview');
  assert.equal(page.url(), `${site.base}/`);
  assert.equal(await whoami(page), 'alice@example.org');
  // To say who one is connects nobody.
  assert.deepEqual(await site.connected(), []);
});

for (const where of ['evil', 'neighbour']) {
  browse(`pages ${where === 'evil' ? 'of another site' : 'of another port'} do nothing in the owner’s name`, async ({ site, visit, page }) => {
    const attacker = site[where];
    visit.allow(attacker.origin);
    visit.expect(/CORS policy|net::ERR_FAILED/);
    visit.mayHappen(/status of (401|403|404|405|415)/);
    visit.mayHappen(/net::ERR_BLOCKED_BY/);
    await site.connect('bob.sample@gmail.com');
    const { body: bob } = await site.call('GET', '/v1/users/bob.sample@gmail.com');
    const keys = async () => (await site.call('GET', '/v1/keys')).body.keys.length;
    const before = { keys: await keys(), refreshes: (await site.google.state()).counts.refreshes };
    await enter(page, site);

    attacker.pages['/'] = '<!doctype html><title>Attack</title><h1>Attack</h1>';
    const thief = await page.context().newPage();
    await thief.goto(attacker.origin);
    const read = await thief.evaluate(async ([base, sub]) => {
      const answers = [];
      const key = JSON.stringify({ name: 'stolen', actions: ['admin'], users: 'all', expires_in: 'never' });
      for (const mode of ['cors', 'no-cors']) {
        for (const [method, path, body] of [
          ['GET', '/v1/users'], ['GET', '/v1/dashboard'], ['GET', '/v1/keys'],
          ['POST', '/v1/keys', key], ['POST', `/v1/users/${sub}/refresh`], ['POST', '/v1/dashboard/links'],
          ['DELETE', `/v1/users/${sub}`], ['DELETE', '/v1/dashboard/sessions'],
        ]) {
          for (const headers of [{}, { 'Content-Type': 'text/plain' }, { 'X-Requested-With': 'locum', 'Content-Type': 'application/json' }]) {
            try {
              const response = await fetch(base + path, { method, mode, headers, credentials: 'include', body });
              if (response.type !== 'opaque') answers.push(`${method} ${path}: ${response.status}`);
            } catch {
              // As it should be.
            }
          }
        }
      }
      return answers;
    }, [site.base, bob.id]);
    assert.deepEqual(read, [], 'no answer can be read');

    // Forms need no script, and navigate.
    for (const [path, fields, type] of [
      ['/v1/keys', '<input name="name" value="stolen"><input name="actions" value="admin">', ''],
      ['/v1/keys', `<input name='{"name":"stolen","actions":["admin"],"users":"all","expires_in":"never","x":"' value='"}'>`, 'text/plain'],
      [`/v1/users/${bob.id}/refresh`, '', ''],
      ['/v1/dashboard/links', '', ''],
      ['/dashboard/sign-in', '', ''],
    ]) {
      attacker.pages['/form'] = `<!doctype html><title>Form</title><form method="post" action="${site.base}${path}" enctype="${type || 'application/x-www-form-urlencoded'}">${fields}<button>Win</button></form>`;
      await thief.goto(`${attacker.origin}/form`);
      const answer = thief.waitForResponse((response) => response.url() === `${site.base}${path}`);
      await thief.getByRole('button', { name: 'Win' }).click();
      assert((await answer).status() >= 400, `${path}: ${(await answer).status()}`);
    }
    // A link of the attacker's own signs the owner in as nobody else.
    const link = await site.loginLink();
    attacker.pages['/form'] = `<!doctype html><title>Form</title><form method="post" action="${link}"><button>Win</button></form>`;
    await thief.goto(`${attacker.origin}/form`);
    await thief.getByRole('button', { name: 'Win' }).click();
    await thief.waitForURL(link);

    assert.deepEqual({ keys: await keys(), refreshes: (await site.google.state()).counts.refreshes }, before);
    assert.deepEqual(await site.connected(), ['bob.sample@gmail.com']);
    assert.equal(await whoami(page), 'link', 'the owner is still signed in');
  });

  browse(`nothing of it can be framed by ${where === 'evil' ? 'another site' : 'another port'}`, async ({ site, visit, page }) => {
    const attacker = site[where];
    visit.allow(attacker.origin);
    visit.expect(/frame-ancestors 'none'/);
    await enter(page, site);
    const framed = [`${site.base}/`, await site.loginLink(), `${site.base}/dashboard/assets/index.html`];
    attacker.pages['/frames'] = `<!doctype html><title>Frames</title>${framed.map((url) => `<iframe src="${url}"></iframe>`).join('')}`;
    visit.mayHappen(/status of 404/);
    const before = visit.complaints.length;
    await page.goto(`${attacker.origin}/frames`, { waitUntil: 'load' });
    const refused = visit.complaints.slice(before).filter((complaint) => /frame-ancestors 'none'/.test(complaint));
    assert.equal(refused.length, framed.length);
  });
}
