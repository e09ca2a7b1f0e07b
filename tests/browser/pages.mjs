// A page in Chromium, which at its end must have had no error and asked nobody else; and axe's look at it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { after, before } from 'node:test';

import { chromium } from 'playwright-core';

import { atEnd } from './ends.mjs';

export const DEADLINE_MS = 15_000;

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});
after(() => browser?.close());

/** How pages are looked at: both themes, at a desk and on a phone. */
export const LOOKS = ['light', 'dark'].flatMap((colorScheme) => [
  { name: `${colorScheme}, at a desk`, colorScheme, viewport: { width: 1280, height: 800 } },
  { name: `${colorScheme}, on a phone`, colorScheme, viewport: { width: 390, height: 844 } },
]);

/** A new tab, with a context of its own. */
export async function newTab(options) {
  const page = await browser.newPage(options);
  page.setDefaultTimeout(DEADLINE_MS);
  return page;
}

/** The page at `path` in a new tab. */
export async function open(t, url, path, look = LOOKS[0]) {
  const { colorScheme, viewport } = look;
  const page = await newTab({ colorScheme, viewport });
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (line) => {
    const refused = /status of (4\d\d|503)/.test(line.text());
    if (line.type() === 'error' && !refused) complaints.push(line.text());
  });
  const elsewhere = [];
  page.on('request', (request) => request.url().startsWith(url) || elsewhere.push(request));
  // Where a redirect would lead that the page does not follow is not asked.
  const isAsked = (request) => !(request.redirectedFrom() && request.failure()?.errorText === 'net::ERR_ABORTED');
  atEnd(t, async () => {
    await page.close();
    assert.deepEqual([...complaints, ...elsewhere.filter(isAsked).map((request) => `asked ${request.url()}`)], []);
  });
  await page.goto(`${url}${path}`);
  return page;
}

/** What axe finds serious, and whether the page is wider than the window. */
export async function barriers(page) {
  // By the debugger's way in: the page itself lets no foreign script in.
  const session = await page.context().newCDPSession(page);
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  };
  await evaluate(`${AXE}; undefined`);
  const found = await evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.filter(({ impact }) => ['serious', 'critical'].includes(impact))
      .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => [id, target.join(' '), failureSummary].join(': '))))`);
  const wide = await evaluate('document.documentElement.scrollWidth > document.documentElement.clientWidth');
  return wide ? [...found, 'the page is wider than the window'] : found;
}

/** Keeps what it looks like, where `SCREENSHOTS` names a folder. */
export async function shoot(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/${name.replaceAll(/\W+/g, '-')}.png` });
}
