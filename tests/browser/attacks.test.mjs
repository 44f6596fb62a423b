// What others try with a person's browser while it signs in.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { arrive, consent } from './consent.mjs';
import { startElsewhere, startSite } from './programs.mjs';

const browse = withBrowser(async () => {
  // Another site for browsers: localhost, where locum is at 127.0.0.1.
  const evil = await startElsewhere({ '/': '<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>' });
  const app = await startElsewhere({ '/welcome': '<!doctype html><title>App</title><h1>Welcome</h1>' }, '127.0.0.1');
  const site = await startSite({ returnTo: [`${app.origin}/welcome`], corsOrigins: [app.origin] });
  return { ...site, app, evil, stop: async () => { app.stop(); evil.stop(); await site.stop(); } };
});

const signIn = (site, query = {}) => `${site.base}/v1/sign-in?${new URLSearchParams({ client: 'main', ...query })}`;

/** The address that Google sends an attacker's browser to, who goes there with nothing but it. */
async function foreignCallback(site, person) {
  const begun = await fetch(signIn(site), { redirect: 'manual' });
  const { sub } = (await site.google.state()).people.find(({ email }) => email === person);
  const agreed = await fetch(begun.headers.get('location'), {
    method: 'POST',
    redirect: 'manual',
    body: new URLSearchParams({ person: sub, decision: 'allow' }),
  });
  const url = agreed.headers.get('location');
  assert(url.startsWith(`${site.base}/v1/sign-in/callback?`) && new URL(url).searchParams.get('code'), url);
  return url;
}

browse('a browser is sent nowhere but where the owner allows', async ({ site, visit, page }) => {
  visit.expectStatus(400);
  const { app, evil } = site;
  const [, port] = app.origin.split(/:(?=\d)/);
  for (const returnTo of [
    evil.origin,
    `${evil.origin}/welcome`,
    `//localhost:${new URL(evil.origin).port}/welcome`,
    `${app.origin}@${new URL(evil.origin).host}/welcome`,
    `${app.origin}.evil.example/welcome`,
    `http://127.0.0.1:${port}0/welcome`,
    `${app.origin}/welcome/../elsewhere`,
    `${app.origin}/welcome%2f..%2felsewhere`,
    `${app.origin}/welcomes`,
    `${app.origin}\\@evil.example/welcome`,
    `${app.origin}/welcome#fragment`,
    `${app.origin}/welcome?locum_code=forged`,
    `javascript:alert(document.domain)//${app.origin}/welcome`,
    'data:text/html,<script>alert(1)</script>',
    `${app.origin}/welcome"><script>alert(1)</script>`,
    `${app.origin}/welcome\r\nSet-Cookie: a=b`,
  ]) {
    await page.goto(signIn(site, { return_to: returnTo }));
    await page.getByRole('heading', { name: 'The link that led here is wrong' }).waitFor();
    assert.equal(new URL(page.url()).origin, site.base, returnTo);
    assert.equal(await page.getByRole('link').count(), 0, returnTo);
    assert.deepEqual(await page.context().cookies(), [], returnTo);
  }
  assert.deepEqual(evil.requests, []);
});

browse('a code of somebody else’s sign-in signs nobody in', async ({ site, visit, page: victim }) => {
  await site.forgetAll();
  visit.expectStatus(403);
  // The attacker agrees with an account of theirs, and has another person open what comes back.
  const url = await foreignCallback(site, 'bob.sample@gmail.com');
  await victim.goto(url);
  await arrive(victim, 'This browser did not begin the sign-in');
  assert.deepEqual(await victim.context().cookies(), []);
  assert.deepEqual(await site.connected(), []);

  // Nor in the middle of the victim's own sign-in, whose cookie is another one.
  await victim.goto(signIn(site));
  await victim.goto(url);
  await arrive(victim, 'This browser did not begin the sign-in');
  assert.deepEqual(await site.connected(), []);
});

browse('the page at the end is shown to the browser that began, and to no other', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.expectStatus(410);
  await page.goto(signIn(site));
  await consent(page, { person: 'Alice Example' });
  await arrive(page, 'You are connected');
  const other = await visit.open();
  await other.goto(page.url());
  await arrive(other, 'This sign-in is over');
  assert.equal(await other.getByText('alice@example.org').count(), 0);
});

browse('a form of another site begins nothing anew', async ({ site, visit, page }) => {
  visit.allow(site.evil.origin);
  visit.expectStatus(403);
  visit.expectStatus(410);
  await page.goto(signIn(site));
  await consent(page, { decision: 'Deny' });
  await arrive(page, 'Nothing was connected');
  const { counts } = await site.google.state();
  site.evil.pages['/form'] = `<!doctype html><title>Form</title><form method="post" action="${page.url()}"><button>Win</button></form>`;
  await page.goto(`${site.evil.origin}/form`);
  await page.getByRole('button', { name: 'Win' }).click();
  await page.getByRole('heading', { name: 'This sign-in is over' }).waitFor();
  assert.equal((await site.google.state()).counts.authorize, counts.authorize);
});

browse('no page can be framed', async ({ site, visit, page }) => {
  const link = await site.link({ email: 'alice@example.org' });
  // A neighbour's port is the same site for browsers, and may frame no more than others.
  for (const attacker of [site.evil, site.app]) {
    visit.allow(attacker.origin);
    const framed = [link.url, `${site.base}/v1/sign-in/end/expired`, signIn(site, { return_to: 'nowhere' }), `${site.base}/v1/users`];
    attacker.pages['/frames'] = `<!doctype html><title>Frames</title>${framed.map((url) => `<iframe src="${url.replaceAll('&', '&amp;')}"></iframe>`).join('')}`;
    visit.expect(/frame-ancestors 'none'/);
    for (const status of [400, 401, 410]) visit.expectStatus(status);
    const before = visit.complaints.length;
    await page.goto(`${attacker.origin}/frames`, { waitUntil: 'load' });
    const refused = visit.complaints.slice(before).filter((complaint) => /frame-ancestors 'none'/.test(complaint));
    assert.equal(refused.length, framed.length, `framed by ${attacker.origin}`);
    for (const frame of page.frames().slice(1)) assert(!frame.url().startsWith(site.base), frame.url());
  }
});

browse('a page of an origin that is not listed reads nothing and changes nothing', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.allow(site.evil.origin);
  visit.allow(site.app.origin);
  visit.expect(/has been blocked by CORS policy/);
  visit.expect(/net::ERR_FAILED|status of 403/);
  visit.expectStatus(400);
  const { code } = await site.google.control('codes', { client_id: site.google.client_id, person: 'alice@example.org', redirect_uri: 'postmessage' });
  const exchange = ([base, code, requestedWith]) => fetch(`${base}/v1/exchange`, {
    method: 'POST',
    headers: requestedWith ? { 'X-Requested-With': 'page' } : {},
    body: new URLSearchParams({ code, client: 'main', source: 'popup' }),
  }).then(async (response) => `${response.status} ${(await response.json()).code ?? 'connected'}`, () => 'unreadable');

  await page.goto(site.evil.origin);
  assert.equal(await page.evaluate(exchange, [site.base, code, true]), 'unreadable');
  assert.equal(await page.evaluate(exchange, [site.base, code, false]), 'unreadable');
  assert.deepEqual(await site.connected(), []);
  // From a listed one it is the first that counts.
  await page.goto(`${site.app.origin}/welcome`);
  assert.equal(await page.evaluate(exchange, [site.base, code, true]), '200 connected');
  assert.equal(await page.evaluate(exchange, [site.base, 'spent', true]), '400 code_malformed');
  assert.deepEqual(await site.connected(), ['alice@example.org']);
});

browse('names that people give themselves are text', async ({ site, page }) => {
  await site.forgetAll();
  const name = '<img src=x onerror=alert(1)> "\'>&lt;b> \u202Egro.elpmaxe@boss 👩‍👩‍👧';
  await site.google.control('people', { email: 'mallory@example.net', name, given_name: '<script>alert(2)</script>', picture: 'javascript:alert(3)' });
  await page.goto(signIn(site));
  await consent(page, { person: 'mallory@example.net' });
  await arrive(page, 'You are connected');
  await page.getByText('mallory@example.net').waitFor();
  assert.equal(await page.locator('img, script').count(), 0);
});
