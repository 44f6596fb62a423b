// The dashboard for everybody and for whatever people call themselves: axe, the keyboard, a phone, dark colours,
// names that run the other way or pretend to be something else; and how much of it the first look costs.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { dialog, enter, PAGES, ready, turn, visitPerson } from './owner.mjs';
import { startSite } from './programs.mjs';
import { assertAccessible, assertFits, DESKTOP, PHONE } from './usable.mjs';

const HOSTILE = '<img src=x onerror=alert(1)><script>alert(2)</script> "\'>&lt;b> {{7*7}} ${7*7} \u202Egpj.exe\u202C 👩‍👩‍👧 \u0301\u0301';
const LONG = `Anna-Maria ${'von und zu '.repeat(15)}Beispiel`;

const browse = withBrowser(async () => {
  const site = await startSite();
  const { control, client_id } = site.google;
  await control('people', { email: 'mallory@example.net', name: HOSTILE, given_name: HOSTILE, picture: 'javascript:alert(3)' });
  await control('people', { email: `${'l'.repeat(60)}@${'long-'.repeat(10)}example.net`, name: LONG });
  const people = {};
  for (const { email } of (await site.google.state()).people) people[email] = (await site.connect(email)).id;
  for (const path of ['notes/today.txt', `${HOSTILE.replaceAll('/', '')}.html`, 'a'.repeat(180)]) {
    await control('drive', { person: people['mallory@example.net'], action: 'put', path, text: '<script>alert(4)</script>', project: client_id });
  }
  // One grant that needs somebody.
  await control('withdraw', { person: people['bob.sample@gmail.com'], project: client_id });
  await site.call('POST', `/v1/users/${people['bob.sample@gmail.com']}/refresh`);
  return { ...site, people };
});

const TABS = ['', 'app-data', 'mirror', 'history'];

const BROWSERS = {
  'light, on a desk': { ...DESKTOP, colorScheme: 'light' },
  'dark, on a desk': { ...DESKTOP, colorScheme: 'dark' },
  'light, on a phone': { ...PHONE, colorScheme: 'light' },
  'dark, on a phone': { ...PHONE, colorScheme: 'dark' },
};

for (const [browser, options] of Object.entries(BROWSERS)) {
  browse(`every page and dialog, ${browser}`, async ({ site, visit, page }) => {
    // Whose grant is dead has app data that cannot be listed.
    visit.expect(/status of 409 .*\/app-data/);
    const judge = async (what) => {
      await assertFits(page, what);
      await assertAccessible(page, what);
    };
    await enter(page, site);
    await judge('overview');
    for (const name of Object.keys(PAGES).slice(1)) {
      await turn(page, name);
      await judge(name);
    }
    for (const email of ['mallory@example.net', 'bob.sample@gmail.com']) {
      for (const tab of TABS) {
        await visitPerson(page, site, site.people[email], tab);
        await judge(`${email} ${tab}`);
      }
    }
    const dialogs = [['people', 'Invite', 'Invite somebody'], ['keys', 'Create a key', 'Create an API key'], ['system', 'Sign out everywhere…', 'Sign out everywhere?']];
    for (const [name, button, title] of dialogs) {
      await turn(page, name);
      await page.getByRole('button', { name: button }).click();
      await dialog(page, title);
      await judge(title);
      await page.keyboard.press('Escape');
    }
    await visitPerson(page, site, site.people['mallory@example.net']);
    await page.getByRole('button', { name: 'Forget…' }).click();
    await (await dialog(page, 'Forget this person?')).getByText('It cannot be undone').waitFor();
    await judge('forget');
  }, options);
}

browse('the colours that were chosen stay', async ({ site, page }) => {
  const ink = () => page.evaluate(() => getComputedStyle(document.body).color);
  await enter(page, site);
  const light = await ink();
  await page.getByRole('button', { name: 'Colours: Auto' }).click();
  await page.getByRole('button', { name: 'Colours: Light' }).click();
  await page.getByRole('button', { name: 'Colours: Dark' }).waitFor();
  const dark = await ink();
  assert.notEqual(dark, light);
  await page.reload();
  await ready(page, 'overview');
  assert.equal(await ink(), dark);
}, { colorScheme: 'light' });

browse('what people call themselves and their files is text', async ({ site, page }) => {
  await enter(page, site, 'people');
  const row = page.getByRole('row').filter({ hasText: 'mallory@example.net' });
  assert((await row.locator('a bdi').textContent()).includes('<img src=x onerror=alert(1)>'));
  const reversed = await page.getByRole('link', { name: 'ליאת דוגמה' }).locator('bdi').evaluate((element) => getComputedStyle(element).unicodeBidi);
  assert.equal(reversed, 'isolate');
  for (const tab of TABS) {
    await visitPerson(page, site, site.people['mallory@example.net'], tab);
    // Nothing that stands in the page was made by them.
    assert.equal(await page.locator('main img, main script, main iframe, main b:text("7")').count(), 0, tab);
  }
  await page.goto(`${site.base}/#/people?q=${encodeURIComponent(HOSTILE)}`);
  await ready(page, 'people');
  await page.goto(`${site.base}/#/people/${encodeURIComponent(HOSTILE)}`).catch(() => {});
});

browse('the keyboard alone will do', async ({ site, page }) => {
  const focused = () => page.evaluate(() => {
    const { tagName, textContent, ariaLabel, id } = document.activeElement;
    return { tagName, id, words: (ariaLabel ?? textContent).trim() };
  });
  await enter(page, site);
  await page.keyboard.press('Tab');
  assert.equal((await focused()).words, 'Skip to the content');
  assert(await page.locator('a.skip').isVisible());
  await page.keyboard.press('Enter');
  assert.equal((await focused()).id, 'main');
  await page.reload();
  await ready(page, 'overview');
  const met = [];
  for (let count = 0; count < 14; count += 1) {
    await page.keyboard.press('Tab');
    const { words } = await focused();
    met.push(words);
    if (words === 'API keys') break;
  }
  // In the order in which they stand there: header, then pages.
  assert.deepEqual(met.filter((words) => ['locum', 'Sign out', 'Overview', 'People', 'Clients', 'API keys'].includes(words)),
    ['locum', 'Sign out', 'Overview', 'People', 'Clients', 'API keys']);
  await page.keyboard.press('Enter');
  await ready(page, 'keys');
  assert.equal((await focused()).id, 'main', 'reading goes on at what is new');
  // The first thing of the page opens a dialog, which keeps the focus and gives it back.
  await page.keyboard.press('Tab');
  assert.equal((await focused()).words, 'Create a key');
  await page.keyboard.press('Enter');
  const open = await dialog(page, 'Create an API key');
  assert.equal((await focused()).tagName, 'INPUT');
  for (let count = 0; count < 40; count += 1) {
    await page.keyboard.press('Tab');
    const outside = await open.evaluate((element) => document.activeElement !== document.body && !element.contains(document.activeElement));
    assert(!outside, 'nothing behind the dialog is reached');
  }
  await page.keyboard.press('Escape');
  await open.waitFor({ state: 'detached' });
  // A frame after the dialog is gone.
  await page.waitForFunction(() => document.activeElement.textContent.trim() === 'Create a key');
});

browse('the first look costs ten requests and 100 kB at most', async ({ site, page }) => {
  await enter(page, site);
  const session = await page.context().newCDPSession(page);
  const urls = [];
  let bytes = 0;
  await session.send('Network.enable');
  await session.send('Network.setCacheDisabled', { cacheDisabled: true });
  session.on('Network.requestWillBeSent', ({ request }) => { if (!request.url.startsWith('data:')) urls.push(new URL(request.url).pathname); });
  session.on('Network.responseReceived', ({ response }) => { bytes += response.encodedDataLength; });
  session.on('Network.dataReceived', ({ encodedDataLength }) => { bytes += encodedDataLength; });
  await page.goto(`${site.base}/`);
  await ready(page, 'overview');
  await page.waitForLoadState('load');
  assert(urls.length > 4 && urls.length <= 10, `${urls.length}: ${urls}`);
  assert(bytes > 10_000 && bytes < 100_000, `${bytes} bytes`);
});
