// What happens while the owner looks appears by itself.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { enter, ready, turn } from './owner.mjs';
import { startSite } from './programs.mjs';

const browse = withBrowser(() => startSite());

browse('what happens elsewhere appears by itself', async ({ site, page }) => {
  await site.forgetAll();
  await enter(page, site, 'people');
  await page.getByRole('status', { name: 'Updates: Live' }).waitFor();
  await page.getByText('Nobody has connected yet').waitFor();
  await site.connect('bob.sample@gmail.com');
  await page.getByRole('link', { name: 'Bob Sample' }).waitFor();
  await turn(page, 'activity');
  const events = page.getByRole('region', { name: 'Events' });
  await site.connect('alice@example.org');
  await events.getByRole('listitem').filter({ hasText: 'alice@example.org' }).first().waitFor();
  // Held back while it is paused.
  await page.getByRole('button', { name: 'Paused' }).click();
  await site.connect('liat.dugma@gmail.com');
  await page.getByText('1 new since you paused').waitFor();
  assert.equal(await events.getByText('liat.dugma@gmail.com').count(), 0);
  await page.getByRole('button', { name: 'Live', exact: true }).click();
  await events.getByText('liat.dugma@gmail.com').waitFor();
  // Filters stand in the address.
  await page.getByLabel('Person').fill('bob.sample@gmail.com');
  await page.getByLabel('Person').press('Enter');
  await events.getByText('alice@example.org').first().waitFor({ state: 'detached' });
  await events.getByText('bob.sample@gmail.com').first().waitFor();
  assert.match(page.url(), /user=bob\.sample/);
  await page.reload();
  await ready(page, 'activity');
  assert.equal(await page.getByLabel('Person').inputValue(), 'bob.sample@gmail.com');
});
