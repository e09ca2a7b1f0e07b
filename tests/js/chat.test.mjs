// The client of the chat's event system, as its document prints it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { assertHas, assertRefused, connect, connected, track } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const server = await startServer();
const inC1 = { rooms: ['conversation:c1'] };
const message = { messageId: 'm1', content: 'hello', sender: { id: 'carol' } };

/** "Connecting" and "Receiving Messages": only the URL differs from what is printed. */
function connectAsPrinted({ url, localStorage, console }) {
  const socket = io(url, {
    auth: {
      token: localStorage.getItem('authToken')
    }
  });

  socket.on('connect', () => {
    console.log('Connected to chat server');
  });

  socket.on('connect_error', (error) => {
    console.error('Connection failed:', error.message);
  });

  socket.on('message:new', (message) => {
    console.log('New message:', message);
    // Update UI
  });

  return track(socket);
}

/** "Joining Conversations", as printed. */
function joinAsPrinted({ socket, conversationId, console }) {
  socket.emit('conversation:join', conversationId, (response) => {
    if (response.success) {
      console.log('Joined conversation:', response.room);
    }
  });
}

/** What the printed code needs of a browser; `said` is its console. */
function page(token) {
  const said = [];
  const say = (...line) => said.push(line);
  const localStorage = { getItem: (key) => (key === 'authToken' ? token : null) };
  return { url: server.url, localStorage, console: { log: say, error: say }, said };
}

test('the printed client connects, joins a conversation and hears its messages', async () => {
  const { said, ...browser } = page(tokenFor('alice', inC1));
  const socket = connectAsPrinted(browser);
  const alice = await connected(server, 'alice', socket);
  joinAsPrinted({ socket, conversationId: 'c1', ...browser });
  // Events of one socket are handled in order: this answer comes after that of the join.
  await alice.ask('conversation:join', 'c1');
  await server.emit({ room: 'conversation:c1' }, 'message:new', message);
  await alice.heard();
  assert.deepEqual(said, [
    ['Connected to chat server'],
    ['Joined conversation:', 'conversation:c1'],
    ['New message:', message],
  ]);
});

test('the printed client is told why it was refused', async () => {
  const { said, ...browser } = page(null);
  await once(connectAsPrinted(browser), 'connect_error');
  assert.deepEqual(said, [['Connection failed:', 'Authentication error: No token provided']]);
});

test('the acknowledgement of a join names the conversation and its room', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  const answer = await alice.ask('conversation:join', 'c1');
  assertHas(answer, { success: true, conversationId: 'c1', room: 'conversation:c1' });
});

test('what is sent to one conversation is not heard in another', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  await alice.ask('conversation:join', 'c1');
  await server.emit({ room: 'conversation:c2' }, 'message:new', { messageId: 'm0' });
  await server.emit({ room: 'chat-c1' }, 'new-message', { chatId: 'c1' });
  await server.emit({ user: 'bob' }, 'conversation:added', { conversationId: 'c1' });
  await server.emit({ room: 'conversation:c1' }, 'message:new', message);
  assert.deepEqual(await alice.heard(), [['message:new', message]]);
});

test('who leaves a conversation hears nothing more of it', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  await alice.ask('conversation:join', 'c1');
  const answer = await alice.ask('conversation:leave', 'c1');
  assertHas(answer, { success: true, conversationId: 'c1' });
  await server.emit({ room: 'conversation:c1' }, 'message:new', message);
  assert.deepEqual(await alice.heard(), []);
});

test('every printed event of a conversation arrives as it was sent', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  await alice.ask('conversation:join', 'c1');
  const events = [
    ['message:edited', { messageId: 'm1', content: 'hi', editedAt: '2026-01-01T00:00:00.000Z' }],
    ['message:deleted', { messageId: 'm1', deletedAt: '2026-01-01T00:00:00.000Z' }],
    ['message:reaction', { messageId: 'm1', reaction: { emoji: '👍', userId: 'bob' } }],
    ['message:read', { conversationId: 'c1', userId: 'bob', messageId: 'm1' }],
    ['conversation:archived', { conversationId: 'c1' }],
    ['conversation:participant:added', { conversationId: 'c1', participant: { id: 'dave' } }],
    ['conversation:participant:removed', { conversationId: 'c1', userId: 'dave' }],
  ];
  for (const [event, data] of events) await server.emit({ room: 'conversation:c1' }, event, data);
  assert.deepEqual(await alice.heard(), events);
});

test('what is sent to a user reaches every socket of theirs and no one else', async () => {
  const tabs = [await connect(server, 'alice'), await connect(server, 'alice')];
  const bob = await connect(server, 'bob');
  const added = { conversationId: 'c9', addedBy: { id: 'bob', firstName: 'Bob', lastName: 'B.' } };
  await server.emit({ user: 'alice' }, 'conversation:added', added);
  // Each fence reaches both tabs, and each tab leaves out what is a fence.
  for (const tab of tabs) assert.deepEqual(await tab.heard(), [['conversation:added', added]]);
  assert.deepEqual(await bob.heard(), []);
});

test('what comes with a message is spread as the Node server does, over no name of ours', async () => {
  const alice = await connect(server, 'alice');
  const authorization = `Bearer ${tokenFor('alice')}`;
  const people = { participantIds: ['bob'] };
  const made = await server.post('/api/conversations', people, { authorization });
  const { id } = (await made.json()).conversation;
  const bob = await connect(server, 'bob');
  for (const event of ['conversation:join', 'join-chat-room']) await bob.ask(event, id);
  const file = { url: 'https://files.example.com/1.png', type: 'image/png', width: 640 };
  const metadata = { kind: 'order', seq: 99, sender: 'mallory', price: { amount: 0.1 + 0.2 } };
  const send = { conversationId: id, content: null, attachments: [file], ...metadata };
  const answer = await alice.ask('message:send', send);
  const attachments = [{ ...file, mimeType: 'image/png' }];
  assertHas(answer.message, { content: '', attachments, metadata });
  assertHas(await bob.hear('message:new'), {
    messageId: answer.message.id,
    content: '',
    sender: { id: 'alice', firstName: null, lastName: null },
    attachments,
    metadata,
    kind: 'order',
    price: metadata.price,
    seq: 1,
  });
  const { message } = await bob.hear('new-message');
  assertHas(message, { _id: answer.message.id, content: '', attachments, metadata });
  assertRefused(await alice.ask('message:send', { ...send, attachments: [{}] }), 'invalid_payload');
  const large = { ...send, note: 'x'.repeat(16 * 1024) };
  assertRefused(await alice.ask('message:send', large), 'invalid_payload');
});

test('typing is told to the others in the conversation, not to who types', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  const bob = await connect(server, 'bob', { claims: inC1 });
  for (const user of [alice, bob]) await user.ask('conversation:join', 'c1');

  const started = await alice.ask('typing:start', { conversationId: 'c1', userName: 'Alice' });
  assertHas(started, { success: true });
  assertHas(await alice.ask('typing:stop', { conversationId: 'c1' }), { success: true });

  const heard = (await bob.heard()).filter(([name]) => name.startsWith('typing:'));
  assert.deepEqual(heard, [
    ['typing:start', { userId: 'alice', userName: 'Alice', conversationId: 'c1' }],
    ['typing:stop', { userId: 'alice', conversationId: 'c1' }],
  ]);
  assert.deepEqual(await alice.heard(), []);
});

test('typing ends when the connection of who types ends', async () => {
  const alice = await connect(server, 'alice', { claims: inC1 });
  const bob = await connect(server, 'bob', { claims: inC1 });
  for (const user of [alice, bob]) await user.ask('conversation:join', 'c1');
  await alice.ask('typing:start', { conversationId: 'c1', userName: 'Alice' });
  alice.close();
  assertHas(await bob.hear('typing:stop'), { userId: 'alice', conversationId: 'c1' });
});

test('a conversation is closed to who has no right to it', async () => {
  const mallory = await connect(server, 'mallory');
  assertRefused(await mallory.ask('conversation:join', 'c1'), 'forbidden');
  assertRefused(await mallory.ask('typing:start', { conversationId: 'c1' }), 'forbidden');
  await server.emit({ room: 'conversation:c1' }, 'message:new', message);
  assert.deepEqual(await mallory.heard(), []);
});
