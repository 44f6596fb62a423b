// Whether everybody can use a page: axe's rules, and the width of a phone.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const axe = readFileSync(createRequire(join(process.env.SUITE_PACKAGES, 'package.json')).resolve('axe-core/axe.min.js'), 'utf8');

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** No rule of axe's with a serious or critical impact is broken in the page as it stands. */
export async function assertAccessible(page, what) {
  // By the debugger, and so whatever the page's policy says of scripts.
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  assert(passes.length > 5, 'axe has looked at something');
  const grave = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => ({ id, help, at: nodes.slice(0, 5).map(({ target, failureSummary }) => `${target}: ${failureSummary}`) }));
  assert.deepEqual(grave, [], `${what}: everybody can use it`);
}

/** Nothing stands out at the side: the page is read by scrolling down alone. */
export async function assertFits(page, what) {
  const widths = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    const wide = [...document.body.querySelectorAll('*')].filter((element) => element.getBoundingClientRect().right > clientWidth + 1);
    return { scrollWidth, clientWidth, wide: wide.slice(0, 5).map((element) => element.outerHTML.slice(0, 120)) };
  });
  assert(widths.scrollWidth <= widths.clientWidth, `${what}: nothing at the side: ${JSON.stringify(widths)}`);
}
