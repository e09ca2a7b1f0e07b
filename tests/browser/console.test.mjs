// An operator at the console, in Chromium.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { DEADLINE_MS, open } from './pages.mjs';
import { startDevelopment, startServer, token } from './server.mjs';

const API_KEY = 'an-api-key-of-the-tests';

/** The console in a new tab, once it is there. */
async function openConsole(t, url) {
  const page = await open(t, url, '/console');
  await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor();
  return page;
}

async function enter(t, { url, secret }, user, conversation) {
  const auth = { token: token({ userId: user, rooms: [`conversation:${conversation}`] }, secret) };
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true });
  t.after(() => socket.close());
  const answer = await socket.timeout(DEADLINE_MS).emitWithAck('conversation:join', conversation);
  assert.equal(answer.success, true, JSON.stringify(answer));
  return socket;
}

async function continueAsDeveloper(page, code) {
  await page.getByLabel('Code that the server printed').fill(code);
  await page.getByRole('button', { name: 'Continue as developer' }).click();
}

async function signIn(page, credential) {
  await page.getByLabel('Token or API key').fill(credential);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

test('a developer sees a room appear, and an event sent there arrives', async (t) => {
  const server = await startDevelopment(t);
  const page = await openConsole(t, server.url);
  await continueAsDeveloper(page, 'a-wrong-code');
  await page.getByText('This is not the code that the server printed.').waitFor();
  await continueAsDeveloper(page, server.code);
  await page.getByText('No rooms: nobody is connected.').waitFor();

  const alice = await enter(t, server, 'alice', 'night');
  const room = page.getByRole('button', { name: 'conversation:night' });
  await room.waitFor();
  await page.getByRole('searchbox').fill('user-');
  await room.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'user-alice' }).waitFor();
  await page.getByRole('searchbox').fill('conv');
  await room.click();
  await page.getByRole('list', { name: 'Members of conversation:night' }).getByRole('button', { name: 'alice' }).click();
  await page.getByText('1 connection on this node').waitFor();

  await page.getByRole('button', { name: 'Send to this room' }).click();
  await page.getByRole('combobox', { name: 'Event' }).fill('message:new');
  await page.getByText('Someone wrote a message.').waitFor();
  const data = page.getByLabel('Data, as JSON');
  await data.fill('{"content": ');
  await page.getByText(/JSON/).filter({ hasText: /end of/i }).waitFor();
  await data.fill('{"content": "hello", "n": 12345678901234567890}');
  const arrived = once(alice, 'message:new', { signal: AbortSignal.timeout(DEADLINE_MS) });
  await data.press('Control+Enter');
  await page.getByText('message:new went to 1 socket').waitFor();
  await page.getByText(/^202 · /).waitFor();
  const [message] = await arrived;
  assert.equal(message.content, 'hello');
});

test('everyone is asked for twice, and a refusal is told in the server’s words', async (t) => {
  const { url, code } = await startDevelopment(t);
  const page = await openConsole(t, url);
  await continueAsDeveloper(page, code);
  await page.getByLabel('Room name').fill('not a room');
  await page.getByRole('combobox', { name: 'Event' }).fill('anything');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await page.getByText(/422 · invalid_payload · request /).waitFor();

  const sent = [];
  page.on('request', (request) => request.method() === 'POST' && sent.push(request.postData()));
  await page.getByText('Everyone', { exact: true }).click();
  const send = page.getByRole('button', { name: 'Send to everyone' });
  await send.click();
  assert.deepEqual(sent, []);
  await page.getByLabel('Yes, to every socket there is').check();
  await send.click();
  await page.getByText('nobody on this node was there to hear it').waitFor();
  assert.deepEqual(sent.map(JSON.parse), [{ to: 'everyone', event: 'anything', data: null }]);
});

test('in production an operator needs a credential, which stays in the tab', async (t) => {
  const hash = createHash('sha256').update(API_KEY).digest('hex');
  const url = await startServer(t, { STOA_ENV: 'production', METRICS_PORT: '0', API_KEYS: `night:${hash}` });
  const page = await openConsole(t, url);
  assert.equal(await page.getByRole('button', { name: 'Continue as developer' }).count(), 0);

  await signIn(page, 'a-wrong-key');
  await page.getByText('invalid API key').waitFor();
  await signIn(page, token({ userId: 'alice', role: 'user' }));
  await page.getByText('This needs the role admin or service.').waitFor();
  await signIn(page, token({ userId: 'olga', role: 'admin' }));
  await page.getByText('Sending needs the role service; yours is admin.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();

  await signIn(page, API_KEY);
  await page.getByText('service:night').waitFor();
  // The figures are there although METRICS_PORT keeps /metrics away from this port.
  await page.locator('.figure', { hasText: 'Memory' }).getByText(/^\d+(\.\d)?$/).waitFor();
  await page.reload();
  await page.getByText('service:night').waitFor();
  const kept = await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
  assert.deepEqual(kept, [[API_KEY], 0, '']);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token or API key').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});
