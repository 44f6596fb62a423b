// A person at the emulated Google's consent page.

import assert from 'node:assert/strict';

/** Waits for the page, chooses a person unless the hinted one shall stay, unticks what is named, and decides. */
export async function consent(page, { person, untick = [], decision = 'Allow' } = {}) {
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  if (person) await page.getByRole('radio', { name: person }).check();
  for (const words of untick) await page.getByRole('checkbox', { name: words }).uncheck();
  await page.getByRole('button', { name: decision }).click();
}

/** Who the page has chosen by itself. */
export async function hinted(page) {
  await page.getByRole('heading', { name: 'An app wants to act for you' }).waitFor();
  const label = page.locator('label', { has: page.locator('input[name=person]:checked') });
  return label.locator('.address').innerText();
}

/** Waits for the page with this heading; what stands in the address then is of use to nobody. */
export async function arrive(page, title) {
  await page.getByRole('heading', { name: title, exact: true }).waitFor();
  const { search, hash } = new URL(page.url());
  assert.equal(search + hash, '', 'a clean address');
  assert.equal(await page.title(), title);
}
