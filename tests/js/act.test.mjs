// A backend that acts for users, and the client that pages load: as the official client sees them.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

import { WebSocket } from 'ws';

import { OWN, connect, connect2, connected, track } from './support/client.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const KEY = 'a-key-that-acts';
const hash = createHash('sha256').update(KEY).digest('hex');
const dist = fileURLToPath(new URL('node_modules/socket.io-client/dist', import.meta.url));
const server = await startServer({
  API_KEYS: `backend:${hash}:act`,
  STOA_REALTIME__CLIENT_DIR: dist,
});

const post = (path, body, user) =>
  server.post(path, body, { 'x-api-key': KEY, ...(user && { 'x-act-as': user }) });

test('what a backend does for a user is heard as if the user had done it', async () => {
  const bob = await connect(server, 'bob');
  const carol = await connect2(server, 'bob');
  const made = await post('/api/conversations', { participantIds: ['bob'] }, 'alice');
  assert.equal(made.status, 201);
  const { id } = (await made.json()).conversation;
  assert.equal((await bob.hear('conversation:added')).addedBy.id, 'alice');
  await bob.ask('conversation:join', id);
  await carol.ask('join-chat-room', id);
  const createdAt = '2020-02-02T02:02:02.000Z';
  const file = { url: 'https://files.example.com/1', size: '2 MB', preview: { w: 1 } };
  const message = { id: '507f1f77bcf86cd799439011', createdAt, senderId: 'alice' };
  const path = `/api/conversations/${id}/messages`;
  const sent = await post(path, { ...message, attachments: [file] });
  assert.equal(sent.status, 201);
  const heard = await bob.hear('message:new');
  assert.equal(heard.sender.id, 'alice');
  assert.deepEqual([heard.messageId, heard.createdAt], [message.id, createdAt]);
  assert.deepEqual(heard.attachments, [file]);
  const chat = await carol.hear('new-message');
  assert.deepEqual([chat.senderId, chat.message._id], ['alice', message.id]);
  assert.deepEqual(chat.message.attachments, [file]);
});

test('the client that a page loads from the server connects to it', async () => {
  const response = await fetch(`${server.url}/socket.io/socket.io.js`);
  const script = await response.text();
  assert.equal(script, await readFile(`${dist}/socket.io.js`, 'utf8'));
  // What a page has.
  globalThis.WebSocket = WebSocket;
  const module = { exports: {} };
  vm.runInThisContext(`(function (module, exports) {${script}\n})`)(module, module.exports);
  const io = module.exports;
  const token = tokenFor('dave');
  const socket = track(io(server.url, { ...OWN, auth: { token }, transports: ['websocket'] }));
  const dave = await connected(server, 'dave', socket);
  assert.equal((await dave.ask('join-user-room', 'dave')).success, true);
});
