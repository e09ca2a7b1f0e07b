// The pages of the API's description and of the events, in Chromium.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';

import { LOOKS, barriers, open, shoot } from './pages.mjs';
import { startServer } from './server.mjs';

const API_KEY = 'an-api-key-of-the-tests';
const API_KEYS = `tests:${createHash('sha256').update(API_KEY).digest('hex')}`;

const operation = (page, path, method) => page.locator('#operations > section > details', {
  has: page.locator('summary code', { hasText: new RegExp(`^${path}$`) }),
}).filter({ has: page.locator(`summary .${method}`) });

async function tryOut(page, path, method) {
  const card = operation(page, path, method);
  await card.locator('> summary').click();
  await card.getByText('Try it', { exact: true }).click();
  return card.locator('form');
}

test('the page shows every operation, and no markup as it is written', async (t) => {
  const url = await startServer(t);
  const document = await (await fetch(`${url}/api/openapi.json`)).json();
  const operations = Object.values(document.paths).flatMap(Object.values);
  const page = await open(t, url, '/api/docs');
  await page.locator('#operations details').first().waitFor();
  assert.equal(await page.locator('#operations > section > details').count(), operations.length);
  assert.equal(await page.locator('.trial').count(), operations.length);
  assert.equal(await page.locator('#about h2', { hasText: 'Authentication' }).count(), 1);
  assert.equal(await page.locator('#about table').count(), 1);
  assert.equal(await page.locator('#operations section > table').count(), 1);
  const said = 'p, td, th, dd, h2, h3, .what';
  const texts = await page.locator(said).evaluateAll((all) => all.map((one) => one.textContent));
  const raw = texts.filter((text) => /`|\]\(|\[`|^#|^\||\*\*|undefined/.test(text));
  assert.deepEqual(raw, []);
  const points = operation(page, '/api/points/awards', 'post');
  await points.locator('> summary').click();
  const inside = points.locator('.inside');
  await inside.getByText('409 insufficient_points').waitFor();
  await inside.locator('.example').first().waitFor();
});

test('a call is tried on the page, as somebody, and by the keyboard alone', async (t) => {
  const url = await startServer(t, { API_KEYS });
  const page = await open(t, url, '/api/docs');
  const form = await tryOut(page, '/api/emit', 'post');
  // The example of the document is there to be sent.
  const body = form.getByLabel('Body');
  assert.equal(JSON.parse(await body.inputValue()).event, 'build:done');
  await form.getByRole('button', { name: 'Send POST' }).press('Enter');
  await form.getByText(/^401 Unauthorized/).waitFor();

  await page.getByLabel('Token or API key').fill(API_KEY);
  await page.getByLabel('Token or API key').press('Enter');
  await page.getByText('Calls are sent with X-Api-Key.').waitFor();
  await body.fill('{"to": "everyone", "event": "it\'s", "data": "<b>1</b>"}');
  await form.getByRole('button', { name: 'As a command' }).press('Enter');
  const command = await form.locator('.output pre').textContent();
  assert.match(command, /^curl -X POST 'http:\/\/localhost:\d+\/api\/emit' \\\n {2}-H 'X-Api-Key: /);
  assert(command.includes(`"it'\\''s"`), command);
  await form.getByRole('button', { name: 'Send POST' }).press('Enter');
  await form.getByText(/^202 Accepted/).waitFor();
  assert.equal(JSON.parse(await form.locator('.output pre').textContent()).sockets, 0);

  const user = await tryOut(page, '/api/users/{id}', 'get');
  await user.getByLabel('id', { exact: true }).fill('no/such?user');
  await user.getByRole('button', { name: 'Send GET' }).press('Enter');
  await user.getByText(/^404 Not Found/).waitFor();
  await user.getByText('"code": "not_found"').waitFor();

  await page.getByRole('button', { name: 'Forget it' }).press('Enter');
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test('every event is shown with an example, what both dialects say side by side', async (t) => {
  const url = await startServer(t);
  const { operations } = await (await fetch(`${url}/api/asyncapi.json`)).json();
  const page = await open(t, url, '/api/docs/events');
  const heard = new Set(Object.values(operations).filter(({ action }) => action === 'receive')
    .map(({ messages }) => messages[0].$ref.split('/').at(-1)));
  const shown = await page.locator('#main article').evaluateAll((all) => all.map(({ id }) => id));
  assert.equal(new Set(shown).size, shown.length);
  assert.equal(shown.filter((id) => id.startsWith('client-')).length, heard.size);
  for (const article of await page.locator('#main article').all()) {
    assert.match(await article.locator('pre').textContent(), /socket\.(on|emitWithAck)\('/);
  }
  // Every link leads somewhere.
  const dead = await page.locator('a[href^="#"]').evaluateAll((all) =>
    all.map((one) => one.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id)));
  assert.deepEqual(dead, []);
  const [left, right] = await Promise.all(['server-message:new', 'server-new-message'].map((id) =>
    page.locator(`article[id="${id}"]`).boundingBox()));
  assert(left.x + left.width <= right.x && Math.abs(left.y - right.y) < 2, JSON.stringify({ left, right }));
  const carried = page.locator('article[id="server-message:new"]');
  await carried.getByText('"content": "Is it still there?"').waitFor();
  await carried.getByText("conversation:<id>, except the sender's sockets").waitFor();
});

for (const look of LOOKS) {
  test(`nobody is kept out of them: ${look.name}`, async (t) => {
    const url = await startServer(t);
    const page = await open(t, url, '/api/docs', look);
    const form = await tryOut(page, '/api/emit', 'post');
    await form.getByRole('button', { name: 'Send POST' }).click();
    await form.getByText(/^401/).waitFor();
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `rest ${look.name}`);
    await page.goto(`${url}/api/docs/events`);
    assert.deepEqual(await barriers(page), []);
    await page.locator('article[id="server-message:new"]').scrollIntoViewIfNeeded();
    await shoot(page, `events ${look.name}`);
  });
}
