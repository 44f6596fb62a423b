// A real Chromium, and what is held against every page that it shows.
//
// What must stay true: a test fails on any error in the console, any exception in a page, any violation of a
// content security policy, any dialog and any request beyond the origins that belong to it, unless it said
// beforehand which of these has to happen; and then it fails if that does not.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

const { chromium } = createRequire(join(process.env.SUITE_PACKAGES, 'package.json'))('playwright-core');

/** How long a page may take to do what a test waits for. Nothing takes a second on an idle machine. */
const PATIENCE = 20_000;

export function launch() {
  return chromium.launch({
    executablePath: process.env.SUITE_CHROMIUM,
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      // Whatever a page asks for, nothing but this machine is asked.
      '--no-proxy-server', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
    ],
  });
}

/** One test's browsers, each with cookies of its own, and what went wrong in them. */
export class Visit {
  #browser;
  #origins;
  #contexts = [];
  #complaints = [];
  #expected = [];

  constructor(browser, origins) {
    this.#browser = browser;
    this.#origins = new Set(origins);
  }

  /** A page in a browser that has seen nothing yet. Options are those of Playwright's newContext. */
  async open(options = {}) {
    const context = await this.#browser.newContext(options);
    this.#contexts.push(context);
    context.setDefaultTimeout(PATIENCE);
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        console.error(`policy: ${event.effectiveDirective} refused ${event.blockedURI} in ${event.documentURI}`);
      });
    });
    context.on('console', (message) => {
      if (message.type() === 'error') this.#complain(`console: ${message.text()} (${message.location().url})`);
    });
    context.on('weberror', (error) => this.#complain(`exception: ${error.error()}`));
    context.on('request', (request) => {
      const url = new URL(request.url());
      const local = ['data:', 'blob:', 'about:', 'chrome-error:'].includes(url.protocol);
      if (!local && !this.#origins.has(url.origin)) this.#complain(`request: ${request.method()} ${url.origin}`);
    });
    // Playwright dismisses dialogs that nobody listens for, and this one would be of a script that should not run.
    context.on('dialog', async (dialog) => {
      this.#complain(`dialog: ${dialog.message()}`);
      await dialog.dismiss();
    });
    return context.newPage();
  }

  /** Pages may also ask this origin. */
  allow(origin) {
    this.#origins.add(origin);
  }

  /** Something that matches has to go wrong, at least once. */
  expect(pattern) {
    this.#expected.push({ pattern, met: false });
  }

  /** Something that matches is nobody's fault. */
  mayHappen(pattern) {
    this.#expected.push({ pattern, met: true });
  }

  /** Chromium reports every answer above 399 in the console, that to the navigation itself included. */
  expectStatus(status) {
    this.expect(new RegExp(`^console: Failed to load resource: the server responded with a status of ${status} `));
  }

  #complain(text) {
    this.#complaints.push(text);
  }

  get complaints() {
    return [...this.#complaints];
  }

  /** Throws what went wrong so far. */
  judge() {
    const unexpected = this.#complaints.filter((complaint) => {
      const expected = this.#expected.filter(({ pattern }) => pattern.test(complaint));
      for (const one of expected) one.met = true;
      return expected.length === 0;
    });
    assert.deepEqual(unexpected, [], 'nothing goes wrong in the pages');
    const missing = this.#expected.filter(({ met }) => !met).map(({ pattern }) => String(pattern));
    assert.deepEqual(missing, [], 'what has to go wrong does');
  }

  async close() {
    for (const context of this.#contexts) await context.close();
  }
}

/**
 * Starts a browser and what `start` starts before the tests of a file, and stops both after them. Gives the function
 * that makes a test: `(name, body, options)`, where the body gets `{ site, visit, page }` with the page of a fresh browser.
 */
export function withBrowser(start) {
  let browser;
  let site;
  before(async () => {
    // Each by itself, so that what has started is stopped where the other fails.
    await Promise.all([launch().then((started) => { browser = started; }), start().then((started) => { site = started; })]);
  });
  after(async () => {
    await browser?.close();
    await site?.stop();
  });
  return (name, body, { skip = false, ...options } = {}) => test(name, { skip, timeout: 8 * PATIENCE }, async () => {
    const visit = new Visit(browser, [site.base, site.google.origin]);
    try {
      await body({ site, visit, page: await visit.open(options) });
      visit.judge();
    } catch (error) {
      // The reason often stands there.
      for (const complaint of visit.complaints) console.error(`${name}: ${complaint}`);
      throw error;
    } finally {
      await visit.close();
    }
  });
}
