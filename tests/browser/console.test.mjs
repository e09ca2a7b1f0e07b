// An operator at the console, in Chromium.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { atEnd } from './ends.mjs';
import { DEADLINE_MS, LOOKS, barriers, open, shoot } from './pages.mjs';
import { SECRET, startDevelopment, startServer, token } from './server.mjs';

const API_KEY = 'an-api-key-of-the-tests';

/** The console in a new tab, once it is there. */
async function openConsole(t, url, look) {
  const page = await open(t, url, '/console', look);
  await page.getByRole('status').filter({ hasText: 'Ready' }).waitFor();
  return page;
}

async function enter(t, { url, secret }, user, conversation) {
  const auth = { token: token({ userId: user, rooms: [`conversation:${conversation}`] }, secret) };
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true });
  atEnd(t, () => socket.close());
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

const operator = () => token({ userId: 'olga', roles: ['admin', 'service'] });

/** The console for an operator with every right, on a page. */
async function openAs(t, url, path, look) {
  const page = await openConsole(t, url, look);
  await signIn(page, operator());
  await page.getByRole('link', { name: 'Overview' }).waitFor();
  await goTo(page, path);
  return page;
}

/** Goes to a page by the keyboard, as somebody without a pointer. */
async function goTo(page, name) {
  await page.getByRole('link', { name, exact: true }).press('Enter');
  await page.getByRole('heading', { name, level: 2 }).waitFor();
}

/** Connected, in these rooms. */
async function connect(t, url, user, rooms = [], options = {}) {
  const auth = { token: token({ userId: user, rooms }, SECRET) };
  const socket = io(url, { auth, transports: ['websocket'], forceNew: true, reconnection: false, ...options });
  atEnd(t, () => socket.close());
  await once(socket, 'connect', { signal: AbortSignal.timeout(DEADLINE_MS) });
  for (const room of rooms) {
    const [, conversation] = room.split(':');
    const answer = await socket.timeout(DEADLINE_MS).emitWithAck('conversation:join', conversation);
    assert.equal(answer.success, true, JSON.stringify(answer));
  }
  return socket;
}

const ended = (socket) => once(socket, 'disconnect', { signal: AbortSignal.timeout(DEADLINE_MS) });

test('a developer sees a room appear, and an event sent there arrives', async (t) => {
  const server = await startDevelopment(t);
  const page = await openConsole(t, server.url);
  await continueAsDeveloper(page, 'a-wrong-code');
  await page.getByText('This is not the code that the server printed.').waitFor();
  await continueAsDeveloper(page, server.code);
  await goTo(page, 'Rooms');
  await page.getByText('No rooms but those of one user.').waitFor();

  const alice = await enter(t, server, 'alice', 'night');
  const room = page.getByRole('button', { name: 'conversation:night' });
  await room.waitFor();
  const users = page.getByRole('button', { name: 'user-alice' });
  assert.equal(await users.count(), 0, 'rooms of one user are folded away');
  await page.getByLabel('also those of one user').check();
  await users.waitFor();
  await page.getByRole('searchbox').fill('user-');
  await room.waitFor({ state: 'detached' });
  await page.getByRole('searchbox').fill('conv');
  await room.click();
  await page.getByRole('list', { name: 'Members of conversation:night' }).getByRole('link', { name: 'alice' }).waitFor();

  await page.getByRole('link', { name: 'Send to this room' }).click();
  assert.equal(await page.getByLabel('Room name').inputValue(), 'conversation:night');
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
  await goTo(page, 'Playground');
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
  await goTo(page, 'Playground');
  await page.getByText('Sending needs the role service; yours is admin.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();

  await signIn(page, API_KEY);
  await page.getByText('service:night').waitFor();
  // The figures are there although METRICS_PORT keeps /metrics away from this port.
  await goTo(page, 'Overview');
  await page.locator('.tile', { hasText: 'Memory' }).getByText(/^\d+ MB$/).waitFor();
  await page.reload();
  await page.getByText('service:night').waitFor();
  const kept = await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
  assert.deepEqual(kept, [[API_KEY], 0, '']);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token or API key').waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test('the overview says first what is wrong, and figures answer the arrow keys', async (t) => {
  const url = await startServer(t, { HANDSHAKE: 'trusting' });
  await connect(t, url, 'alice');
  const page = await openAs(t, url, 'Overview');
  const wrong = page.getByRole('list', { name: 'What is wrong now' });
  await wrong.getByText('The handshake is trusting.').waitFor();
  const connections = page.getByRole('slider', { name: 'Connections' });
  await page.locator('.tile', { hasText: 'Connections' }).getByText('1', { exact: true }).waitFor();
  const told = () => connections.getAttribute('aria-valuetext');
  assert.match(await told(), /: \/ 1, \/chat 0, \/marketplace 0$/);
  await connections.focus();
  await page.keyboard.press('Home');
  assert.match(await told(), /^\d\d:\d\d:\d\d/);
  await page.getByRole('region', { name: 'Connections', exact: true }).getByText('As a table').press('Enter');
  await page.getByRole('table', { name: 'Connections' }).getByRole('rowheader').first().waitFor();
  assert.equal(await page.locator('main').evaluate((main) => main.querySelector('.troubles').compareDocumentPosition(main.querySelector('.tiles')) & 4), 4);
});

test('people are found and put out, each asked twice, by the keyboard alone', async (t) => {
  const url = await startServer(t);
  const alice = await connect(t, url, 'alice', ['conversation:night']);
  const bob = await connect(t, url, 'bob', [], { transports: ['polling'] });
  const page = await openAs(t, url, 'People');
  const sockets = page.getByRole('table', { name: 'Sockets' });
  await sockets.getByRole('button', { name: 'alice' }).waitFor();
  await page.getByLabel('Transport').selectOption('polling');
  await sockets.getByRole('button', { name: 'alice' }).waitFor({ state: 'detached' });
  await sockets.getByRole('button', { name: 'bob' }).waitFor();
  await page.getByLabel('Transport').selectOption('');
  await page.getByLabel('User begins with').fill('ali');
  await sockets.getByRole('button', { name: 'bob' }).waitFor({ state: 'detached' });

  // Out of a room: the first answer is no.
  await sockets.getByRole('button', { name: 'alice' }).press('Enter');
  const out = page.getByRole('button', { name: 'Put it out of conversation:night' });
  await out.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByText('This socket of alice leaves the room.').waitFor();
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  await out.press('Enter');
  await dialog.getByRole('button', { name: 'Put out of the room' }).press('Enter');
  await out.waitFor({ state: 'detached' });

  // One socket.
  const closed = ended(alice);
  await page.getByRole('button', { name: 'Disconnect this socket' }).press('Enter');
  await dialog.getByRole('button', { name: 'Disconnect' }).press('Enter');
  await closed;
  await page.getByText('Nobody is connected so.').waitFor();

  // A block needs the name once more.
  await page.goto(`${url}/console#/people?user=bob`);
  const person = page.getByRole('region', { name: 'The user' });
  await person.getByText(/online/).waitFor();
  await person.getByRole('button', { name: 'Block', exact: true }).press('Enter');
  await dialog.getByLabel('Reason').fill('<b>spam</b>');
  const blocked = ended(bob);
  await dialog.getByRole('button', { name: 'Block' }).press('Enter');
  await dialog.getByLabel('Type bob to go on').fill('bob');
  await page.keyboard.press('Enter');
  await blocked;
  await person.getByText('Blocked until somebody ends it: <b>spam</b>').waitFor();
  await person.getByRole('button', { name: 'End the block' }).press('Enter');
  await dialog.getByRole('button', { name: 'End the block' }).press('Enter');
  await person.getByText('Blocked').waitFor({ state: 'hidden' });
});

test('somebody is let into a room, and put out again', async (t) => {
  const url = await startServer(t);
  const alice = await connect(t, url, 'alice', ['conversation:night']);
  const bob = await connect(t, url, 'bob');
  const page = await openAs(t, url, 'Rooms');
  await page.getByRole('button', { name: 'conversation:night' }).press('Enter');
  await page.getByRole('button', { name: 'Let somebody in' }).press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('User id').fill('bob');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  const answer = await bob.timeout(DEADLINE_MS).emitWithAck('conversation:join', 'night');
  assert.equal(answer.success, true, JSON.stringify(answer));
  const members = page.getByRole('list', { name: 'Members of conversation:night' });
  await members.getByRole('link', { name: 'bob' }).waitFor();
  await members.getByRole('button', { name: 'Put bob out' }).press('Enter');
  await dialog.getByRole('button', { name: 'Put out of the room' }).press('Enter');
  await members.getByRole('link', { name: 'bob' }).waitFor({ state: 'detached' });
  assert(alice.connected && bob.connected);
});

test('a webhook that fails is told of, and is told again by an operator', async (t) => {
  const WEBHOOK_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const url = await startServer(t, { WEBHOOK_URL: 'http://127.0.0.1:9/nobody', WEBHOOK_SECRET });
  // Each is of another stream, so that none waits for another to be told.
  const emits = Array.from({ length: 10 }, (_, at) => ({ to: { room: `conversation:${at}` }, event: 'tick', data: 1 }));
  const emitted = await fetch(`${url}/api/emit/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ emits }),
  });
  assert.deepEqual((await emitted.json()).results.map(({ status }) => status), emits.map(() => 202));
  const page = await openAs(t, url, 'Webhooks & store');
  await page.getByRole('table', { name: 'Nodes' }).getByText('0.1.0').waitFor();
  const events = page.getByRole('table', { name: 'Tables' }).getByRole('row').filter({ hasText: 'shared_events' });
  await events.getByText('1 d 0 h').waitFor();
  const hook = page.getByRole('list', { name: 'Webhooks' }).getByRole('listitem').first();
  await hook.getByText('failing', { exact: true }).waitFor();
  await hook.getByText(/can't be reached/).waitFor();
  await hook.getByRole('button', { name: 'Tell again since…' }).press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Since').fill('yesterday');
  await page.keyboard.press('Enter');
  await dialog.getByText(/422 · invalid_payload/).waitFor();
  await dialog.getByLabel('Since').fill('2025-11-24T16:00:00.000Z');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  assert.deepEqual(await barriers(page), []);
});

/** Sends an event over REST; what was answered. */
async function emit(url, body) {
  const response = await fetch(`${url}/api/emit`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operator()}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 202);
  return response.json();
}

test('events are seen as they are sent, narrowed, held, and asked why', async (t) => {
  const url = await startServer(t);
  await connect(t, url, 'alice', ['conversation:night']);
  const page = await openAs(t, url, 'Live events');
  await page.getByText('Nothing was sent since you look.').waitFor();
  // Until the page listens, what is sent is not for it.
  const list = page.getByRole('table', { name: 'Live events' });
  const first = list.getByRole('link', { name: 'hello' });
  const room = { room: 'conversation:night' };
  for (let sent = 0; !(await first.count()); sent += 1) {
    assert(sent < 100, 'nothing is seen');
    await emit(url, { to: room, event: 'hello', data: { text: '<b>night</b>' }, volatile: true });
    await page.waitForTimeout(50);
  }
  await list.getByText('{"text":"<b>night</b>"}').first().waitFor();

  await list.getByText('written to 1 socket').first().waitFor();

  // Of which nobody heard, and of those alone.
  await page.getByLabel('What became of it').selectOption('nobody');
  await first.first().waitFor({ state: 'detached' });
  await page.waitForURL(/outcome=nobody/);
  const alone = list.getByRole('link', { name: 'alone' });
  for (let sent = 0; !(await alone.count()); sent += 1) {
    assert(sent < 100, 'nothing is seen');
    await emit(url, { to: room, event: 'hello', data: 1, volatile: true });
    await emit(url, { to: { user: 'nobody' }, event: 'alone', data: 1, volatile: true });
    await page.waitForTimeout(50);
  }
  await list.getByText('nobody was there').first().waitFor();
  assert.equal(await first.count(), 0, 'it is filtered');
  await page.getByLabel('What became of it').selectOption('');
  await alone.first().waitFor({ state: 'detached' });

  await page.keyboard.press('/');
  await page.keyboard.type('news*');
  await first.first().waitFor({ state: 'detached' });
  await page.waitForURL(/event=news/);
  const news = list.getByRole('link', { name: 'news:late' });
  for (let sent = 0; !(await news.count()); sent += 1) {
    assert(sent < 100, 'nothing is seen');
    await emit(url, { to: room, event: 'hello', data: 1 });
    await emit(url, { to: room, event: 'news:late', data: 'x'.repeat(500) });
    await page.waitForTimeout(50);
  }
  assert.equal(await first.count(), 0, 'it is filtered');
  await page.getByRole('button', { name: 'Hold' }).press('Enter');
  await page.getByText('Held still').waitFor();
  await emit(url, { to: room, event: 'news:later', data: 2 });
  await page.getByText('Held still: 1 more came since.').waitFor();
  assert.equal(await list.getByRole('link', { name: 'news:later' }).count(), 0);
  await page.getByRole('button', { name: 'Go on' }).press('Enter');
  await list.getByRole('link', { name: 'news:later' }).waitFor();

  await list.getByTitle('Who heard it?').first().press('Enter');
  await page.getByRole('heading', { name: 'Why', level: 2 }).waitFor();
  await page.getByLabel('User', { exact: true }).fill('alice');
  await page.keyboard.press('Enter');
  await page.getByText(/Was online and meant; written to it/).waitFor();
  await page.getByRole('region', { name: 'The event' }).getByText('conversation:night').waitFor();
  await page.getByLabel('User', { exact: true }).fill('bob');
  await page.keyboard.press('Enter');
  await page.getByText(/Not heard: was offline then/).waitFor();
  await page.getByLabel('Event', { exact: true }).fill('nothing');
  await page.keyboard.press('Enter');
  await page.getByText(/422 · invalid_payload/).waitFor();
});

for (const look of LOOKS) {
  test(`nobody is kept out of a page: ${look.name}`, async (t) => {
    const url = await startServer(t);
    await connect(t, url, 'alice', ['conversation:night']);
    const page = await openConsole(t, url, look);
    assert.deepEqual(await barriers(page), []);
    await signIn(page, operator());
    for (const [name, ready] of [
      ['Overview', page.getByText('Nothing is wrong.')],
      ['People', page.getByRole('button', { name: 'alice' })],
      ['Rooms', page.getByRole('button', { name: 'conversation:night' })],
      ['Live events', page.getByText('Nothing was sent since you look.')],
      ['Why', page.getByLabel('User', { exact: true })],
      ['Money', page.getByText('Nothing waits for anybody.')],
      ['Webhooks & store', page.getByText('No webhook is configured')],
      ['Playground', page.getByLabel('Room name')],
    ]) {
      await goTo(page, name);
      await ready.waitFor();
      if (['People', 'Rooms'].includes(name)) await ready.press('Enter');
      assert.deepEqual(await barriers(page), [], name);
      await shoot(page, `console ${name} ${look.name}`);
    }
    await goTo(page, 'People');
    await page.getByRole('button', { name: 'Disconnect this socket' }).or(page.getByRole('button', { name: 'alice' })).first().press('Enter');
    await page.getByRole('button', { name: 'Disconnect this socket' }).press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await barriers(page), [], 'the dialog');
    await shoot(page, `console dialog ${look.name}`);
  });
}
