// The dashboard: each page, and each thing that the owner can do there.

import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { withBrowser } from './chromium.mjs';
import { arrive, consent, hinted } from './consent.mjs';
import { dialog, enter, PAGES, ready, turn, visitPerson } from './owner.mjs';
import { startSite } from './programs.mjs';

const browse = withBrowser(() => startSite({
  more: (folder) => `
[[mirror]]
user = "mirrored@example.org"
client = "main"
folder = "${join(folder, 'mirrored')}"
direction = "both"
interval = "1h"
`,
  prepare: (folder) => mkdir(join(folder, 'mirrored')),
}));

browse('every page comes up, by the navigation and by its address', async ({ site, page }) => {
  await site.forgetAll();
  await site.connect('alice@example.org');
  await enter(page, site);
  for (const name of [...Object.keys(PAGES).slice(1), 'overview']) {
    await turn(page, name);
    assert.equal(await page.locator('main h1').count(), 1, name);
    assert.equal(await page.locator('nav[aria-label=Pages] [aria-current=page]').count(), 1, name);
  }
  for (const [name, hash] of Object.entries(PAGES)) {
    await page.goto('about:blank');
    await page.goto(`${site.base}/${hash}`);
    await ready(page, name);
  }
  await page.goBack();
  await page.goForward();
  await ready(page, 'system');
});

browse('a grant is refreshed by hand', async ({ site, visit, page }) => {
  visit.expectStatus(409);
  const { id } = await site.connect('alice@example.org');
  await enter(page, site, 'people');
  await page.getByRole('link', { name: 'Alice Example' }).click();
  await ready(page, 'person');
  const { counts } = await site.google.state();
  await page.getByRole('button', { name: 'Refresh now' }).click();
  await page.getByText('Refreshed. The new access token is good for').waitFor();
  assert.equal((await site.google.state()).counts.refreshes, counts.refreshes + 1);
  // Withdrawn at Google: the button says what that means, and the page shows the new state.
  await site.google.control('withdraw', { person: id, project: site.google.client_id });
  await page.getByRole('button', { name: 'Refresh now' }).click();
  await page.getByRole('alert').waitFor();
  await page.locator('.grant .badge', { hasText: 'Dead' }).waitFor();
});

browse('a connect link is made for a person, shown once, and works', async ({ site, visit, page }) => {
  const { id } = await site.connect('bob.sample@gmail.com');
  await enter(page, site);
  await visitPerson(page, site, id);
  await page.getByRole('button', { name: 'Connect link' }).click();
  const making = await dialog(page, 'Connect link');
  await making.getByLabel('Client').selectOption('main');
  await making.getByRole('button', { name: 'Make the link' }).click();
  const url = await making.locator('.copyable code').innerText();
  assert(url.startsWith(`${site.base}/v1/connect/`), url);
  await making.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('heading', { name: '1 open connect link' }).waitFor();
  assert.equal(await page.getByText(url).count(), 0, 'it cannot be seen again');

  const theirs = await visit.open();
  await theirs.goto(url);
  await theirs.getByRole('button', { name: 'Continue with Google' }).click();
  assert.equal(await hinted(theirs), 'bob.sample@gmail.com');
  await consent(theirs);
  await arrive(theirs, 'You are connected');
});

browse('somebody is invited, and the invitation withdrawn', async ({ site, visit, page }) => {
  visit.expectStatus(410);
  await enter(page, site, 'people');
  await page.getByRole('button', { name: 'Invite' }).click();
  const making = await dialog(page, 'Invite somebody');
  await making.getByLabel('E-mail address').fill('newcomer@example.net');
  await making.getByLabel('Good for').selectOption('an hour');
  await making.getByRole('button', { name: 'Make the link' }).click();
  const url = await making.locator('.copyable code').innerText();
  await making.getByRole('button', { name: 'Done' }).click();
  const row = page.getByRole('listitem').filter({ hasText: 'newcomer@example.net' });
  await row.getByRole('button', { name: 'Withdraw…' }).click();
  await (await dialog(page, 'Withdraw the link?')).getByRole('button', { name: 'Withdraw' }).click();
  await row.waitFor({ state: 'detached' });
  const theirs = await visit.open();
  await theirs.goto(url);
  await theirs.getByRole('heading', { name: 'This link is no longer good' }).waitFor();
});

browse('a person is forgotten after it was said what else ends', async ({ site, page }) => {
  const { id } = await site.connect('bob.sample@gmail.com');
  await enter(page, site);
  await visitPerson(page, site, id);
  await page.getByRole('button', { name: 'Forget…' }).click();
  const asking = await dialog(page, 'Forget this person?');
  await asking.getByText('Google is told to revoke').waitFor();
  await asking.getByLabel('At Google').selectOption('no');
  await asking.getByText('Google is not told').waitFor();
  await asking.getByRole('button', { name: 'Cancel' }).click();
  assert((await site.connected()).includes('bob.sample@gmail.com'));

  const { counts } = await site.google.state();
  await page.getByRole('button', { name: 'Forget…' }).click();
  await page.getByRole('button', { name: 'Forget and revoke' }).click();
  const told = await dialog(page, 'Forgotten');
  await told.getByText('Google has revoked it').waitFor();
  assert.equal((await site.google.state()).counts.revokes, counts.revokes + 1);
  await told.getByRole('button', { name: 'Done' }).click();
  await ready(page, 'people');
  assert(!(await site.connected()).includes('bob.sample@gmail.com'));
  assert.equal(await page.getByText('bob.sample@gmail.com').count(), 0);
});

browse('a key is made, shown once, rotated and revoked', async ({ site, page }) => {
  await enter(page, site, 'keys');
  await page.getByRole('button', { name: 'Create a key' }).click();
  const making = await dialog(page, 'Create an API key');
  await making.getByLabel('Name').fill('night job');
  await making.getByRole('checkbox', { name: /users:read/ }).check();
  await making.getByRole('button', { name: 'Create the key' }).click();
  const shown = page.locator('.shown-once .copyable');
  const key = await shown.locator('code').innerText();
  const statusWith = async (bearer) => (await fetch(`${site.base}/v1/users`, { headers: { authorization: `Bearer ${bearer}` } })).status;
  assert.equal(await statusWith(key), 200);
  await shown.getByRole('button', { name: 'Copy the key' }).click();
  await shown.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await page.getByRole('button', { name: 'Done' }).click();
  assert(!(await page.content()).includes(key), 'it cannot be seen again');

  await page.getByRole('button', { name: 'Rotate night job' }).click();
  const rotating = await dialog(page, 'Rotate this key');
  await rotating.getByLabel('The old key ends').selectOption('at once');
  await rotating.getByRole('button', { name: 'Rotate' }).click();
  const successor = await page.locator('.shown-once code').innerText();
  await page.getByRole('button', { name: 'Done' }).click();
  assert.deepEqual([await statusWith(key), await statusWith(successor)], [401, 200]);

  const row = page.getByRole('row').filter({ hasText: successor.split('_')[1] });
  await row.getByRole('button', { name: 'Revoke night job' }).click();
  const revoking = await dialog(page, 'Revoke this key?');
  await revoking.getByRole('button', { name: 'Revoke' }).click();
  await row.waitFor({ state: 'detached' });
  assert.equal(await statusWith(successor), 401);
  await page.getByRole('button', { name: /^Show \d+ keys? that ended/ }).click();
  await page.getByRole('row').filter({ hasText: successor.split('_')[1] }).getByText('revoked', { exact: true }).waitFor();
}, { permissions: ['clipboard-read', 'clipboard-write'] });

browse('app data is uploaded, replaced, downloaded and deleted', async ({ site, page }) => {
  const { id } = await site.connect('liat.dugma@gmail.com');
  await enter(page, site);
  await visitPerson(page, site, id, 'app-data');
  await page.getByText('No app data yet').waitFor();
  const name = 'הערות <b>.txt';
  const upload = (text) => page.getByLabel('Files to upload').setInputFiles({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
  await upload('one');
  const row = page.getByRole('row').filter({ hasText: name });
  await row.waitFor();
  await upload('two!');
  await (await dialog(page, 'Replace 1 file?')).getByRole('button', { name: 'Replace' }).click();
  await row.getByText('4 bytes').waitFor();
  const [download] = await Promise.all([page.waitForEvent('download'), row.getByRole('link', { name: /^Download/ }).click()]);
  assert.equal(await readFile(await download.path(), 'utf8'), 'two!');
  await row.getByRole('button', { name: /^Delete/ }).click();
  const asking = await dialog(page, 'Delete this file?');
  await asking.getByText(name).waitFor();
  await asking.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('No app data yet').waitFor();
  assert.deepEqual((await site.google.control('drive', { person: id, action: 'list', project: site.google.client_id })).files ?? [], []);
});

browse('a first run of a mirror is looked at, accepted and done', async ({ site, visit, page }) => {
  visit.mayHappen(/status of 409 .*\/mirror/);
  await site.google.control('people', { email: 'mirrored@example.org', name: 'Mira Mirrored' });
  const { id } = await site.connect('mirrored@example.org');
  const folder = join(site.folder, 'mirrored');
  await site.google.control('drive', { person: id, action: 'put', path: 'plans/today.json', text: '{}', project: site.google.client_id });
  await writeFile(join(folder, 'here.txt'), 'here');
  await enter(page, site);
  await visitPerson(page, site, id, 'mirror');
  await page.getByRole('button', { name: 'Dry run' }).click();
  const plan = page.getByRole('list', { name: 'Planned actions' });
  await plan.getByText('plans/today.json').waitFor();
  await plan.getByText('here.txt').waitFor();
  await assert.rejects(readFile(join(folder, 'plans/today.json')), { code: 'ENOENT' });
  await page.getByRole('button', { name: 'Run now' }).click();
  await page.getByRole('button', { name: 'Accept and run…' }).click();
  await (await dialog(page, 'Accept what the run would do?')).getByRole('button', { name: 'Accept and run' }).click();
  await page.getByRole('heading', { name: 'Done', exact: true }).waitFor();
  assert.equal(await readFile(join(folder, 'plans/today.json'), 'utf8'), '{}');
});

browse('a client is checked with Google', async ({ site, page }) => {
  await enter(page, site, 'clients');
  const main = page.getByRole('region', { name: 'main' });
  await main.getByText(`${site.base}/v1/sign-in/callback`, { exact: true }).waitFor();
  await main.getByRole('button', { name: 'Check with Google' }).click();
  await main.getByRole('heading', { name: 'Asked of Google just now' }).waitFor();
  assert.equal(await main.getByText('Failed:').count(), 0);
});

browse('one of many is found', async ({ site, page }) => {
  await site.forgetAll();
  const many = 120;
  for (let number = 0; number < many; number += 1) {
    const email = `person${String(number).padStart(3, '0')}@example.net`;
    await site.google.control('people', { email, name: `Person Number${number}` });
    await site.connect(email, ['openid', 'email', 'profile']);
  }
  await enter(page, site, 'people');
  await page.getByText(`1–50 of ${many}`).waitFor();
  await page.getByRole('link', { name: 'Next' }).click();
  await page.getByText(`51–100 of ${many}`).waitFor();
  await page.getByRole('searchbox', { name: 'Search people' }).fill('UMBER77');
  await page.getByText('1–1 of 1').waitFor();
  await page.getByRole('link', { name: 'Person Number77' }).click();
  await ready(page, 'person');
  await page.goBack();
  await page.getByText('1–1 of 1').waitFor();
  await page.getByRole('searchbox', { name: 'Search people' }).fill('nobody of that name');
  await page.getByText('Nobody matches').waitFor();
  await site.forgetAll();
});
