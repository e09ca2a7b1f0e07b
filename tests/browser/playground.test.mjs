// A backend and a client side by side at the console, in Chromium: the client is the real one.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { LOOKS, barriers, open, shoot } from './pages.mjs';
import { startServer, token } from './server.mjs';

/** The files that the server hands to pages. */
const CLIENT = { STOA_REALTIME__CLIENT_DIR: fileURLToPath(new URL('./node_modules/socket.io-client/dist', import.meta.url)) };

const operator = (roles = ['admin', 'service']) => token({ userId: 'olga', roles });

/** The playground, gone to by the keyboard, in its two halves. */
async function openPlayground(t, url, { look, credential = operator() } = {}) {
  const page = await open(t, url, '/console', look);
  await page.getByLabel('Token or API key').fill(credential);
  await page.getByRole('button', { name: 'Sign in' }).press('Enter');
  await page.getByRole('link', { name: 'Playground', exact: true }).press('Enter');
  await page.getByRole('heading', { name: 'Playground', level: 2 }).waitFor();
  const client = page.getByRole('region', { name: 'A client' });
  return { page, client, backend: page.getByRole('region', { name: 'Send an event' }), frames: client.getByRole('list', { name: 'Frames' }) };
}

/** Connects as a user whose token lets them into a room, and joins it. */
async function join({ client, frames }, speaks, room, user = 'alice') {
  await client.getByLabel('User', { exact: true }).fill(user);
  await client.getByLabel('Rooms that the token lets them into').fill(room);
  await client.getByLabel('Speaks').selectOption({ label: speaks });
  await client.getByRole('button', { name: 'Connect' }).press('Enter');
  await client.getByText(/^connected on /).waitFor();
  await client.getByLabel('Room', { exact: true }).fill(room);
  await client.getByLabel('Room', { exact: true }).press('Enter');
  await client.getByRole('list', { name: 'Rooms that they joined' }).getByText(room).waitFor();
  await frames.getByText(/"success": ?true/).first().waitFor();
}

/** Sends from the backend's form. */
async function send({ backend }, room, event, data) {
  await backend.getByLabel('Room name').fill(room);
  await backend.getByRole('combobox', { name: 'Event' }).fill(event);
  await backend.getByLabel('Data, as JSON').fill(data);
  await backend.getByLabel('Data, as JSON').press('Control+Enter');
}

for (const look of LOOKS) {
  test(`what the backend sends the client hears, in both dialects, by the keyboard alone: ${look.name}`, async (t) => {
    const url = await startServer(t, CLIENT);
    const all = await openPlayground(t, url, { look });
    const { page, client, backend, frames } = all;
    assert.deepEqual(await barriers(page), [], 'before');
    await join(all, 'conversation dialect, on /chat', 'conversation:night');
    await send(all, 'conversation:night', 'message:new', '{"content": "<b>hello</b>"}');
    await backend.getByText('message:new went to 1 socket').waitFor();
    const heard = frames.getByRole('listitem').first();
    await heard.getByText('message:new').waitFor();
    await heard.getByText('{"content":"<b>hello</b>"}').waitFor();
    assert.equal(await frames.locator('b').count(), 0, 'what was sent is text');
    assert.equal(await heard.getAttribute('data-way'), 'in');

    // What they say is answered.
    await client.getByLabel('What they say').fill('typing:start');
    await client.getByRole('button', { name: 'Insert an example' }).press('Enter');
    assert.match(await client.getByLabel('Argument, as JSON').inputValue(), /conversationId/);
    await client.getByLabel('Argument, as JSON').fill('{"conversationId": "night"}');
    await client.getByRole('button', { name: 'Emit' }).press('Enter');
    await frames.locator('[data-way="ack"]').filter({ hasText: 'typing:start' }).filter({ hasText: '"success":true' }).waitFor();
    await frames.locator('[data-way="out"]').filter({ hasText: 'typing:start' }).filter({ hasText: '"night"' }).waitFor();
    assert.deepEqual(await barriers(page), [], 'connected');
    await page.getByRole('heading', { name: 'Playground', level: 2 }).scrollIntoViewIfNeeded();
    await shoot(page, `console Playground ${look.name}`);

    // Out of the room nothing comes any more.
    await client.getByRole('button', { name: 'Leave conversation:night' }).press('Enter');
    await client.getByRole('button', { name: 'Leave conversation:night' }).waitFor({ state: 'detached' });
    await send(all, 'conversation:night', 'late', '1');
    await backend.getByText('late was accepted, but nobody on this node was there to hear it').waitFor();
    await client.getByRole('button', { name: 'Disconnect' }).press('Enter');
    await client.getByText('not connected').waitFor();
    assert(await client.getByLabel('Room', { exact: true }).isDisabled());

    // The same of the marketplace's apps, in their names for it.
    await join(all, 'marketplace dialect, on /marketplace', 'chat-night', 'bob');
    await send(all, 'chat-night', 'new-message', '{"content": "hi"}');
    await frames.locator('[data-way="in"]').filter({ hasText: 'new-message' }).filter({ hasText: '"hi"' }).waitFor();
    assert.equal(await frames.getByText('late', { exact: true }).count(), 0);
  });
}

test('a refusal is shown in the server’s words', async (t) => {
  const url = await startServer(t, CLIENT);
  const all = await openPlayground(t, url);
  const { client, frames } = all;
  await client.getByText('With a token of your own').press('Enter');
  await client.getByLabel('Token', { exact: true }).fill(token({ userId: 'eve' }, 'another secret, which is long enough too'));
  await client.getByLabel('Token', { exact: true }).press('Enter');
  await client.getByRole('alert').getByText('Authentication error: invalid signature').waitFor();
  await frames.getByText('connect_error').waitFor();
  await client.getByText('not connected').waitFor();

  await client.getByLabel('Token', { exact: true }).fill('');
  await client.getByLabel('Role').selectOption('admin');
  await client.getByRole('button', { name: 'Connect' }).press('Enter');
  await client.getByRole('alert').getByText('A token with the role admin takes an API key.').waitFor();

  await client.getByLabel('Role').selectOption('buyer');
  await join(all, 'conversation dialect, on /', 'conversation:night');
  await client.getByLabel('Room', { exact: true }).fill('conversation:other');
  await client.getByRole('button', { name: 'Join' }).press('Enter');
  await client.getByRole('alert').getByText(/\(forbidden\)$/).waitFor();
  await client.getByLabel('Room', { exact: true }).fill('chat-other');
  await client.getByRole('button', { name: 'Join' }).press('Enter');
  await client.getByText('Clients of the conversation dialect join conversation:<id>.').waitFor();
});

test('frames are held and cleared, and there are never more than 200', async (t) => {
  const url = await startServer(t, CLIENT);
  const all = await openPlayground(t, url);
  const { client, frames } = all;
  await join(all, 'conversation dialect, on /', 'conversation:night');
  await client.getByRole('button', { name: 'Hold' }).press('Enter');
  const emits = (from, many) => Array.from({ length: many }, (_, at) => ({ to: { room: 'conversation:night' }, event: 'tick', data: from + at }));
  const batch = async (from, many) => {
    const headers = { authorization: `Bearer ${operator()}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}/api/emit/batch`, { method: 'POST', headers, body: JSON.stringify({ emits: emits(from, many) }) });
    assert.equal(answer.ok, true, await answer.text());
  };
  for (const from of [0, 50, 100, 150]) await batch(from, 50);
  await batch(200, 10);
  // And what is told of who is here, when that comes.
  await client.getByText(/Held still: 21\d more came since\./).waitFor();
  assert.equal(await frames.getByText('tick').count(), 0);
  await client.getByRole('button', { name: 'Go on' }).press('Enter');
  await frames.getByRole('listitem').filter({ hasText: 'tick' }).first().getByText('209').waitFor();
  assert.equal(await frames.getByRole('listitem').count(), 200);
  await client.getByRole('button', { name: 'Clear' }).press('Enter');
  await client.getByText('Nothing was said or heard.').waitFor();
});

test('without the client’s files it says what to set, and asks nobody else', async (t) => {
  const { client } = await openPlayground(t, await startServer(t));
  await client.getByRole('button', { name: 'Connect' }).press('Enter');
  await client.getByRole('alert').getByText('STOA_REALTIME__CLIENT_DIR').waitFor();
});

test('where the server has no key to sign with one is pasted', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', { publicKeyEncoding: { type: 'spki', format: 'pem' } });
  const url = await startServer(t, { ...CLIENT, JWT_SECRET: '', JWT_PUBLIC_KEY: publicKey });
  const signed = (claims) => {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'EdDSA', typ: 'JWT' })}.${part({ exp: Math.floor(Date.now() / 1000) + 600, ...claims })}`;
    return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`;
  };
  const { client } = await openPlayground(t, url, { credential: signed({ userId: 'olga', roles: ['admin', 'service'] }) });
  await client.getByRole('button', { name: 'Connect' }).press('Enter');
  await client.getByText(/503 · no_signing_key/).waitFor();
  await client.getByLabel('Token', { exact: true }).fill(signed({ userId: 'alice' }));
  await client.getByLabel('Token', { exact: true }).press('Enter');
  await client.getByText(/^connected on /).waitFor();
});

test('who is no service pastes a token', async (t) => {
  const url = await startServer(t, CLIENT);
  const { client } = await openPlayground(t, url, { credential: operator(['admin']) });
  await client.getByText('Making a token needs the role service: paste one.').waitFor();
  assert(await client.getByLabel('User', { exact: true }).isDisabled());
  await client.getByLabel('Token', { exact: true }).fill(token({ userId: 'alice' }));
  await client.getByLabel('Token', { exact: true }).press('Enter');
  await client.getByText(/^connected on /).waitFor();
});
