// Signing in by a browser: out to the consent page, back, and what the person and the site learn.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';

import { withBrowser } from './chromium.mjs';
import { arrive, consent } from './consent.mjs';
import { APP_DATA, startElsewhere, startSite } from './programs.mjs';

const browse = withBrowser(async () => {
  const app = await startElsewhere({ '/welcome': '<!doctype html><title>App</title><h1>Welcome</h1>' });
  const site = await startSite({ returnTo: [`${app.origin}/welcome`] });
  return { ...site, app, stop: async () => { app.stop(); await site.stop(); } };
});

const signIn = (site, query = {}) => `${site.base}/v1/sign-in?${new URLSearchParams({ client: 'main', ...query })}`;

/** Without a site: the page at the end tells them. */
browse('a person agrees and is told so', async ({ site, page }) => {
  await site.forgetAll();
  await page.goto(signIn(site));
  await consent(page, { person: 'Alice Example' });
  await arrive(page, 'You are connected');
  await page.getByText('alice@example.org').waitFor();
  assert.deepEqual(await site.connected(), ['alice@example.org']);
  assert.equal(await page.evaluate(() => document.cookie), '', 'no script can read the cookie');
  // It can be looked at again, and asks nobody for anything.
  const { counts } = await site.google.state();
  await page.reload();
  await arrive(page, 'You are connected');
  assert.equal((await site.google.state()).counts.exchanges, counts.exchanges);
  // The address that the code came with is not in the history.
  await page.goBack();
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  assert.equal(new URL(page.url()).origin, site.google.origin);
});

browse('what is not ticked stays closed, and can be ticked later', async ({ site, page }) => {
  await site.forgetAll();
  await page.goto(signIn(site));
  await consent(page, { person: 'Bob Sample', untick: ['keep its own data'] });
  await arrive(page, 'You are connected, in part');
  await page.getByText('keep its own data in your Drive').waitFor();
  const grantOf = async () => (await site.call('GET', '/v1/users/bob.sample@gmail.com')).body.grants[0];
  assert(!(await grantOf()).scopes.includes(APP_DATA));
  await page.getByRole('button', { name: 'Try again' }).click();
  await consent(page, { person: 'Bob Sample' });
  await arrive(page, 'You are connected');
  assert((await grantOf()).scopes.includes(APP_DATA));
});

browse('whoever says no is not connected, and can change their mind', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.expectStatus(403);
  await page.goto(signIn(site));
  await consent(page, { decision: 'Deny' });
  await arrive(page, 'Nothing was connected');
  assert.deepEqual(await site.connected(), []);
  await page.getByRole('button', { name: 'Try again' }).click();
  await consent(page, { person: 'Alice Example' });
  await arrive(page, 'You are connected');
});

browse('a site learns who signed in, by the verifier that it keeps', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.allow(site.app.origin);
  const verifier = randomBytes(32).toString('base64url');
  const challenge = createHash('sha256').update(verifier).digest('base64url');
  await page.goto(signIn(site, { return_to: `${site.app.origin}/welcome?cart=7`, challenge }));
  await consent(page, { person: 'ליאת דוגמה' });
  await page.getByRole('heading', { name: 'Welcome' }).waitFor();

  const { url, headers } = site.app.requests.at(-1);
  assert.deepEqual([...url.searchParams.keys()], ['cart', 'locum_code']);
  assert.equal(headers.referer, undefined, 'no address of locum’s or Google’s goes along');
  assert.deepEqual(await page.context().cookies(site.base), [], 'what is of no use any more is dropped');
  const redeem = (code_verifier) => site.call('POST', '/v1/session', { locum_code: url.searchParams.get('locum_code'), code_verifier });
  const { status, body } = await redeem(verifier);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.user.email, 'liat.dugma@gmail.com');
  const me = await fetch(`${site.base}/v1/users/me`, { headers: { authorization: `Bearer ${body.session.token}` } });
  assert.equal((await me.json()).id, body.user.id);
  assert.equal((await redeem(verifier)).body.code, 'locum_code_spent');
});

browse('a site is told that the person said no, when they go back to it', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.allow(site.app.origin);
  visit.expectStatus(403);
  const challenge = createHash('sha256').update(randomBytes(32)).digest('base64url');
  await page.goto(signIn(site, { return_to: `${site.app.origin}/welcome`, challenge }));
  await consent(page, { decision: 'Deny' });
  await arrive(page, 'Nothing was connected');
  await page.getByRole('link', { name: 'Back to the site' }).click();
  await page.getByRole('heading', { name: 'Welcome' }).waitFor();
  const { url, headers } = site.app.requests.at(-1);
  assert.deepEqual([...url.searchParams], [['locum_error', 'consent_denied']]);
  assert.equal(headers.referer, undefined);
});

browse('the keyboard alone will do', async ({ site, page }) => {
  await site.forgetAll();
  await page.goto(signIn(site));
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  const press = async (key, times = 1) => { for (let count = 0; count < times; count += 1) await page.keyboard.press(key); };
  await press('Tab');
  await press('ArrowDown');
  assert.equal(await page.locator('input[name=person]:checked').getAttribute('value'),
    (await site.google.state()).people.find(({ email }) => email === 'bob.sample@gmail.com').sub);
  await press('Tab');
  await press('Space');
  await press('Tab');
  await press('Enter');
  await arrive(page, 'You are connected, in part');
  await press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Try again');
});
