// The published page of the official Admin UI, as its package has it, in Chromium against the real server.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { io } from 'socket.io-client';

import { atEnd } from './ends.mjs';
import { newTab } from './pages.mjs';
import { startServer, token } from './server.mjs';

const PAGE = fileURLToPath(new URL('./node_modules/@socket.io/admin-ui/ui/dist', import.meta.url));
const KINDS = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
/** Of "changeit". */
const HASH = '$2b$04$oPF3IuoJlBRcqjQ7bJRI0.FzLhuXhSCHC5yW7K1vhEBm0CILVdSPm';

let files;
before(async () => {
  files = createServer(async (request, response) => {
    const path = normalize(new URL(request.url, 'http://x').pathname);
    const file = join(PAGE, path === '/' ? 'index.html' : path);
    const content = await readFile(file).catch(() => null);
    response.writeHead(content ? 200 : 404, { 'content-type': KINDS[extname(file)] ?? 'application/octet-stream' });
    response.end(content);
  });
  files.listen(0, '127.0.0.1');
  await once(files, 'listening');
});
after(() => files?.close());

async function enter(t, url, user) {
  const auth = { token: token({ userId: user }) };
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false });
  atEnd(t, () => socket.close());
  await new Promise((connected, refused) => socket.once('connect', connected).once('connect_error', refused));
  return socket;
}

test('an operator signs in, sees sockets and rooms, has one enter a room, and disconnects it', async (t) => {
  const url = await startServer(t, { ADMIN_UI_USER: 'admin', ADMIN_UI_HASH: HASH });
  const [ann, bob] = [await enter(t, url, 'ann'), await enter(t, url, 'bob')];
  const page = await newTab({ viewport: { width: 1400, height: 900 } });
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(`http://localhost:${files.address().port}/`);

  await page.getByLabel('Server URL').fill(url);
  await page.getByLabel('Username').fill('admin');
  await page.getByLabel('Password').fill('wrong');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByText('Invalid credentials').waitFor();
  await page.getByLabel('Password').fill('changeit');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.locator('header').getByText('connected', { exact: true }).first().waitFor();

  await page.getByRole('navigation').getByRole('link', { name: 'Sockets' }).click();
  await page.getByRole('cell', { name: ann.id }).waitFor();
  await page.getByRole('cell', { name: bob.id }).click();
  await page.getByText('"userId": "bob"').waitFor();
  const joined = page.locator('form').filter({ has: page.getByLabel('Join a room') });
  await joined.locator('input').first().fill('lobby');
  await joined.getByRole('button').last().click();
  await page.getByRole('cell', { name: 'lobby' }).waitFor();

  await page.getByRole('navigation').getByRole('link', { name: 'Rooms' }).click();
  await page.getByRole('cell', { name: 'lobby' }).waitFor();
  await page.getByRole('cell', { name: 'user-ann' }).waitFor();

  await page.getByRole('navigation').getByRole('link', { name: 'Sockets' }).click();
  const [left, { id }] = [once(ann, 'disconnect'), ann];
  await page.getByRole('row').filter({ hasText: ann.id }).getByRole('button').click();
  await left;
  // The click shows it, too.
  await page.getByText('disconnected', { exact: true }).first().waitFor();
  await page.getByRole('navigation').getByRole('link', { name: 'Sockets' }).click();
  await page.getByRole('cell', { name: bob.id }).waitFor();
  assert.equal(await page.getByRole('cell', { name: id }).count(), 0);

  await page.getByRole('navigation').getByRole('link', { name: 'Servers' }).click();
  await page.getByText('Healthy').first().waitFor();
  // It comes back without the password.
  await page.reload();
  await page.locator('header').getByText('connected', { exact: true }).first().waitFor();
  assert.equal(await page.getByLabel('Password').isVisible(), false);
  assert.deepEqual(complaints, []);
  await page.close();
});
