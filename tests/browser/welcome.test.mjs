// A developer's first minute at `/`, in Chromium.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { LOOKS, barriers, open, shoot } from './pages.mjs';
import { startDevelopment, startServer } from './server.mjs';

const sh = (command) => promisify(execFile)('sh', ['-c', `${command.replace(/^curl/, 'curl -s')}`]);

for (const look of LOOKS) {
  test(`both users hear what the shown command writes, each in their dialect: ${look.name}`, async (t) => {
    const { url } = await startDevelopment(t);
    const page = await open(t, url, '/', look);
    await page.getByText(/^in conversation:/).waitFor();
    await page.getByText(/^in chat-/).waitFor();
    await page.getByLabel('Your message').fill("It's <b>here</b>");
    const { stdout } = await sh(await page.locator('#command').textContent());
    assert.equal(JSON.parse(stdout).message?.content, "It's <b>here</b>", stdout);
    const heard = (who) => page.getByRole('list', { name: `What ${who} heard` }).getByRole('listitem');
    await heard('Ann').filter({ hasText: 'message:new' }).filter({ hasText: "It's <b>here</b>" }).waitFor();
    await heard('Bob').filter({ hasText: 'new-message' }).filter({ hasText: "It's <b>here</b>" }).waitFor();

    await page.getByLabel('Your message').fill('again');
    await page.getByLabel('Your message').press('Enter');
    await heard('Ann').filter({ hasText: '"again"' }).waitFor();
    await heard('Bob').filter({ hasText: '"again"' }).waitFor();
    await page.getByText('Sent: it is stored, and both were told.').waitFor();
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `welcome ${look.name}`);

    // Once more, into the same conversation.
    const room = await page.locator('#ann-state').textContent();
    await page.reload();
    await page.getByText(room, { exact: true }).waitFor();
  });
}

test('with a secret of one’s own it says how to begin', async (t) => {
  const url = await startServer(t);
  const page = await open(t, url, '/');
  await page.getByText('stoa token --user alice').waitFor();
  assert.equal(await page.locator('#say').count(), 0);
  assert.deepEqual(await barriers(page), []);
});
