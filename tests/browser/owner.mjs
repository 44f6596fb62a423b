// The owner in the dashboard.

import assert from 'node:assert/strict';

/** Every page of the navigation, by the name that its <main> has. */
export const PAGES = { overview: '#/', people: '#/people', clients: '#/clients', keys: '#/keys', activity: '#/activity', system: '#/system' };

/** Waits until the page of this name shows what it is there for. */
export async function ready(page, name) {
  await page.locator(`main[data-page="${name}"][data-ready]`).waitFor();
}

/** Signs a browser in by a link and goes to a page of the dashboard. */
export async function enter(page, site, name = 'overview') {
  await page.goto(await site.loginLink());
  await page.getByRole('button', { name: 'Sign in' }).click();
  await ready(page, 'overview');
  if (name !== 'overview') await turn(page, name);
}

/** Goes to another page by the navigation. */
export async function turn(page, name) {
  await page.locator(`nav[aria-label=Pages] a[href="${PAGES[name]}"]`).click();
  await ready(page, name);
}

/** Goes to a person's page, or one of its tabs. */
export async function visitPerson(page, site, id, tab = '') {
  const part = `${id}${tab && `/${tab}`}`;
  await page.goto(`${site.base}/#/people/${part}`);
  // Not the tab that was shown before.
  await page.locator(`main[data-ready="person/${part}"]`).waitFor();
}

/** The dialog that is open, which is the only one, and the one that holds the focus. */
export async function dialog(page, name) {
  const open = page.getByRole('dialog', { name });
  await open.waitFor();
  assert.equal(await page.locator('dialog[open]').count(), 1);
  assert(await open.evaluate((element) => element.contains(document.activeElement)), 'the focus is in the dialog');
  return open;
}
