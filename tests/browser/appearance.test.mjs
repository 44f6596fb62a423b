// The pages of a sign-in as everybody gets them: in light and dark, on a desk and on a phone, in English and in
// Arabic, which runs from right to left; and axe's verdict on each.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { consent } from './consent.mjs';
import { startSite } from './programs.mjs';
import { assertAccessible, assertFits, DESKTOP, PHONE } from './usable.mjs';

const browse = withBrowser(() => startSite({ owners: ['alice@example.org'] }));

const signIn = (site) => `${site.base}/v1/sign-in?client=main`;
const connect = async (site, page, answers) => {
  await page.goto(signIn(site));
  await consent(page, answers);
  await page.waitForURL('**/v1/sign-in/end/*');
};
const invite = async (site, page) => { await page.goto((await site.link({ email: 'alice@example.org' })).url); };

/** Every page, by how a browser comes to it, with the status that it answers where that is an error. */
const PAGES = {
  'an invitation': { reach: invite },
  'on to Google': {
    reach: async (site, page) => {
      await invite(site, page);
      // So that it stays.
      await page.route(`${site.google.origin}/**`, (route) => route.fulfill({ status: 204 }));
      await page.getByRole('button').click();
      await page.getByRole('link').waitFor();
    },
  },
  connected: { reach: (site, page) => connect(site, page, { person: 'Alice Example' }) },
  'connected in part': { reach: (site, page) => connect(site, page, { person: 'Bob Sample', untick: ['keep its own'] }) },
  denied: { status: 403, reach: (site, page) => connect(site, page, { decision: 'Deny' }) },
  'another account': {
    status: 403,
    reach: async (site, page) => {
      await invite(site, page);
      await page.getByRole('button').click();
      await consent(page, { person: 'Bob Sample' });
      await page.waitForURL('**/v1/sign-in/end/*');
    },
  },
  'a link that is used': { status: 410, reach: (site, page) => page.goto(`${site.base}/v1/connect/nothing`) },
  over: { status: 410, reach: (site, page) => page.goto(`${site.base}/v1/sign-in/end/expired`) },
  'another browser': { status: 403, reach: (site, page) => page.goto(`${site.base}/v1/sign-in/end/other-browser`) },
  'the door of the dashboard': { reach: (site, page) => page.goto(site.base) },
  'a login link': { reach: async (site, page) => { await page.goto(await site.loginLink()); } },
  'a login link that is used': { status: 410, reach: (site, page) => page.goto(`${site.base}/dashboard/enter/nothing`) },
  'not an owner': {
    status: 403,
    reach: async (site, page) => {
      await page.goto(site.base);
      await page.getByRole('button').click();
      await consent(page, { person: 'Bob Sample' });
      await page.waitForURL('**/v1/sign-in/**');
      await page.locator('main.bad').waitFor();
    },
  },
  'a wrong link': { status: 400, reach: (site, page) => page.goto(`${signIn(site)}&return_to=nowhere`) },
};

const BROWSERS = {
  'in English, light, on a desk': { ...DESKTOP, locale: 'en-GB', colorScheme: 'light' },
  'in English, dark, on a phone': { ...PHONE, locale: 'en-GB', colorScheme: 'dark' },
  'in Arabic, dark, on a desk': { ...DESKTOP, locale: 'ar-EG', colorScheme: 'dark' },
  'in Arabic, light, on a phone': { ...PHONE, locale: 'ar-EG', colorScheme: 'light' },
};

/** How light a colour is, from 0 to 255. */
const lightness = (colour) => colour.match(/\d+(\.\d+)?/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3;

for (const [browser, options] of Object.entries(BROWSERS)) {
  browse(`every page ${browser}`, async ({ site, visit, page }) => {
    await site.forgetAll();
    const arabic = options.locale.startsWith('ar');
    for (const [what, { status, reach }] of Object.entries(PAGES)) {
      if (status) visit.expectStatus(status);
      await reach(site, page);
      await page.unrouteAll();
      const seen = await page.evaluate(() => ({
        lang: document.documentElement.lang,
        direction: getComputedStyle(document.querySelector('h1')).direction,
        left: document.querySelector('h1').getBoundingClientRect().left,
        paper: getComputedStyle(document.body).backgroundColor,
        ink: getComputedStyle(document.body).color,
        text: document.body.innerText,
      }));
      assert.equal(seen.lang, arabic ? 'ar' : 'en', what);
      assert.equal(seen.direction, arabic ? 'rtl' : 'ltr', what);
      assert.equal(/[\u0600-\u06ff]/.test(seen.text), arabic, what);
      const dark = options.colorScheme === 'dark';
      assert(dark ? lightness(seen.paper) < 60 && lightness(seen.ink) > 180 : lightness(seen.paper) > 220 && lightness(seen.ink) < 80, `${what}: ${JSON.stringify(seen)}`);
      await assertFits(page, what);
      await assertAccessible(page, what);
      // A button or link is large enough for a thumb.
      for (const control of await page.locator('button, a.button').all()) {
        const { height } = await control.boundingBox();
        assert(height >= 44, `${what}: ${height} px`);
      }
    }
  }, options);
}

browse('addresses keep their own direction in a page that runs the other way', async ({ site, page }) => {
  await invite(site, page);
  const isolated = await page.locator('dd bdi').allInnerTexts();
  assert(isolated.includes('alice@example.org') && isolated.includes('main'), String(isolated));
}, { locale: 'ar' });

for (const colorScheme of ['light', 'dark']) {
  browse(`the emulator’s own pages, ${colorScheme}`, async ({ site, visit, page }) => {
    visit.expectStatus(400);
    const { origin, control, client_id } = site.google;
    await control('people', { email: 'long@example.org', name: `Anna-Maria ${'von und zu '.repeat(12)}Beispiel` });
    await page.goto(signIn(site));
    await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
    for (const [what, path] of [['consent', null], ['index', '/'], ['device', '/device'], ['error', `/o/oauth2/v2/auth?client_id=${client_id}`]]) {
      if (path) await page.goto(`${origin}${path}`);
      await assertFits(page, what);
      await assertAccessible(page, what);
    }
  }, { ...PHONE, colorScheme });
}
