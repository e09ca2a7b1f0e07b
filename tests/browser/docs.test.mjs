// The page of the API's description, in Chromium.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { startServer } from './server.mjs';

let browser;
before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  });
});
after(() => browser?.close());

test('the page shows every operation, and no markup as it is written', async (t) => {
  const url = await startServer(t);
  const document = await (await fetch(`${url}/api/openapi.json`)).json();
  const operations = Object.values(document.paths).flatMap(Object.values);
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`${url}/api/docs`);
  await page.locator('#operations details').first().waitFor();
  assert.equal(await page.locator('#operations details').count(), operations.length);
  assert.equal(await page.locator('#about h2', { hasText: 'Authentication' }).count(), 1);
  assert.equal(await page.locator('#about table').count(), 1);
  assert.equal(await page.locator('#operations section > table').count(), 1);
  const said = 'p, td, th, dd, h2, h3, .what';
  const texts = await page.locator(said).evaluateAll((all) => all.map((one) => one.textContent));
  const raw = texts.filter((text) => /`|\]\(|\[`|^#|^\||\*\*|undefined/.test(text));
  assert.deepEqual(raw, []);
  const points = page.locator('details', { has: page.locator('code', { hasText: '/api/points/awards' }) });
  await points.locator('summary').click();
  const inside = points.locator('.inside');
  await inside.getByText('409 insufficient_points').waitFor();
  await inside.locator('.example').first().waitFor();
  assert.deepEqual(complaints, []);
  await page.close();
});
