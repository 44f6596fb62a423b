// Connect links: somebody is sent an address, and only the account that it is for gets through, once.
//
// A link that has run out is told from none by the clock alone; tests/it/connect_links.rs turns that. What a person
// sees is the same page as after its use.

import assert from 'node:assert/strict';

import { withBrowser } from './chromium.mjs';
import { arrive, consent, hinted } from './consent.mjs';
import { startSite } from './programs.mjs';

const browse = withBrowser(() => startSite());

browse('the named person follows it, after others have looked', async ({ site, page }) => {
  await site.forgetAll();
  const { url } = await site.link({ email: 'bob.sample@gmail.com' });
  // Chats, mail scanners and browsers that are ahead of their people fetch what they see.
  for (const [method, agent] of [['HEAD', 'Slackbot'], ['GET', 'facebookexternalhit/1.1'], ['GET', 'WhatsApp/2.23'], ['OPTIONS', 'scanner']]) {
    await fetch(url, { method, headers: { 'user-agent': agent } });
  }
  await page.goto(url);
  await page.getByRole('heading', { name: 'Connect your Google account' }).waitFor();
  await page.getByText('bob.sample@gmail.com').waitFor();
  await page.getByText('keep its own data in your Drive').waitFor();
  await page.reload();
  await page.getByRole('button', { name: 'Continue with Google' }).click();
  assert.equal(await hinted(page), 'bob.sample@gmail.com');
  await consent(page);
  await arrive(page, 'You are connected');
  assert.deepEqual(await site.connected(), ['bob.sample@gmail.com']);
});

browse('another account does not get through, and the right one still does', async ({ site, visit, page }) => {
  await site.forgetAll();
  visit.expectStatus(403);
  const { url } = await site.link({ email: 'alice@example.org' });
  await page.goto(url);
  await page.getByRole('button', { name: 'Continue with Google' }).click();
  await consent(page, { person: 'Bob Sample' });
  await arrive(page, 'That was another account');
  await page.getByText('alice@example.org').waitFor();
  assert.equal(await page.getByText('bob.sample@gmail.com').count(), 0);
  assert.deepEqual(await site.connected(), []);
  await page.getByRole('button', { name: 'Try again' }).click();
  assert.equal(await hinted(page), 'alice@example.org');
  await consent(page);
  await arrive(page, 'You are connected');
  assert.deepEqual(await site.connected(), ['alice@example.org']);
});

browse('a link is good once, whoever comes second', async ({ site, visit, page }) => {
  visit.expectStatus(410);
  const { url } = await site.link({ email: 'alice@example.org' });
  const other = await visit.open();
  for (const one of [page, other]) {
    await one.goto(url);
    await one.getByRole('button', { name: 'Continue with Google' }).waitFor();
  }
  await page.getByRole('button', { name: 'Continue with Google' }).click();
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  await other.getByRole('button', { name: 'Continue with Google' }).click();
  await other.getByRole('heading', { name: 'This link is no longer good' }).waitFor();
  await other.goto(url);
  await other.getByRole('heading', { name: 'This link is no longer good' }).waitFor();
  assert.equal(await other.getByRole('button').count(), 0);
  // The first one's sign-in goes on.
  await consent(page);
  await arrive(page, 'You are connected');
});

browse('a withdrawn link leads nowhere', async ({ site, visit, page }) => {
  visit.expectStatus(410);
  const { id, url } = await site.link({ email: 'alice@example.org' });
  await page.goto(url);
  assert.equal((await site.call('DELETE', `/v1/connect-links/${id}`)).status, 200);
  await page.getByRole('button', { name: 'Continue with Google' }).click();
  await page.getByRole('heading', { name: 'This link is no longer good' }).waitFor();
});

browse('an end that is wanted for fewer scopes asks for these alone', async ({ site, page }) => {
  await site.forgetAll();
  const { url } = await site.link({ email: 'alice@example.org', scopes: ['openid', 'email'] });
  await page.goto(url);
  assert.equal(await page.getByText('keep its own data in your Drive').count(), 0);
  await page.getByRole('button', { name: 'Continue with Google' }).click();
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  assert.equal(await page.getByRole('checkbox').count(), 0);
  await consent(page);
  await arrive(page, 'You are connected');
});
