// The three namespaces, and what an event is answered that can't be done.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, assertHas, assertRefused, connect, connect2, open2, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const server = await startServer();
const claims = { rooms: ['conversation:c1', 'chat-c1', 'request-r1'] };
const message = { messageId: 'm1', content: 'hello' };

const CONVERSATION = {
  join: 'conversation:join',
  room: 'conversation:c1',
  event: 'message:new',
  toUser: 'conversation:added',
};
const MARKETPLACE = {
  join: 'join-chat-room',
  room: 'chat-c1',
  event: 'new-message',
  toUser: 'new-notification',
};
const NAMESPACES = [
  { namespace: '/', speaks: [CONVERSATION, MARKETPLACE], refuses: [] },
  { namespace: '/chat', speaks: [CONVERSATION], refuses: [MARKETPLACE] },
  { namespace: '/marketplace', speaks: [MARKETPLACE], refuses: [CONVERSATION] },
];

for (const { namespace, speaks, refuses } of NAMESPACES) {
  for (const { join, room, event } of speaks) {
    test(`${join} works in ${namespace}, and ${event} is heard there`, async () => {
      const alice = await connect(server, 'alice', { claims, namespace });
      assertHas(await alice.ask(join, 'c1'), { success: true, room });
      await server.emit({ room }, event, message);
      assert.deepEqual(await alice.heard(), [[event, message]]);
    });
  }

  for (const { join } of refuses) {
    test(`${join} is unknown in ${namespace}`, async () => {
      const alice = await connect(server, 'alice', { claims, namespace });
      assertRefused(await alice.ask(join, 'c1'), 'unknown_event');
    });
  }

  test(`an event that no one knows is unknown in ${namespace}`, async () => {
    const alice = await connect(server, 'alice', { namespace });
    assertRefused(await alice.ask('make-coffee', { sugar: 2 }), 'unknown_event');
  });

  test(`a socket in ${namespace} hears what its user is sent in the dialect spoken there`, async () => {
    const alice = await connect(server, 'alice', { namespace });
    for (const { toUser } of [CONVERSATION, MARKETPLACE]) {
      await server.emit({ user: 'alice' }, toUser, { n: 1 });
      await server.emit({ user: 'bob' }, toUser, { n: 2 });
    }
    await server.emit({ user: 'alice' }, 'of-neither-dialect', { n: 1 });
    const names = [...speaks.map(({ toUser }) => toUser), 'of-neither-dialect'];
    assert.deepEqual(await alice.heard(), names.map((name) => [name, { n: 1 }]));
  });

  test(`no one enters ${namespace} without a token`, async () => {
    const [error] = await once(open4(server, {}, namespace), 'connect_error');
    assert.equal(error.message, 'Authentication error: No token provided');
  });
}

test('another namespace is invalid', async () => {
  const socket = open4(server, { auth: { token: tokenFor('alice') } }, '/nowhere');
  const [error] = await once(socket, 'connect_error');
  assert.equal(error.message, 'Invalid namespace');
});

const BAD_PAYLOADS = {
  'conversation:join': [undefined, null, true, 7.5, '', 'not an id', 'x'.repeat(257), {}, ['c1']],
  'conversation:leave': [undefined, {}],
  'typing:start': [undefined, 'c1', {}, { conversationId: 7.5 }],
  'join-user-room': [undefined, -7, ''],
  'join-chat-room': [undefined, {}],
  'typing-start': [undefined, 'c1', { userId: 'alice', userName: 'Alice' }],
  'user-online': [undefined, {}],
  'auth:refresh': [undefined, {}, { token: 7 }],
};

for (const [event, payloads] of Object.entries(BAD_PAYLOADS)) {
  test(`${event} says what is wrong with its payload`, async () => {
    const alice = await connect(server, 'alice', { claims });
    for (const payload of payloads) {
      const args = payload === undefined ? [] : [payload];
      assertRefused(await alice.ask(event, ...args), 'invalid_payload');
    }
  });
}

test('a whole number is an id, as it was for the Node servers', async () => {
  const alice = await connect(server, 'alice', { claims: { rooms: ['conversation:7'] } });
  assertHas(await alice.ask('conversation:join', 7), { success: true, room: 'conversation:7' });
  await server.emit({ room: 'conversation:7' }, 'message:new', message);
  assert.deepEqual(await alice.heard(), [['message:new', message]]);
});

const FAILURES = [
  { event: 'make-coffee', payload: {}, code: 'unknown_event' },
  { event: 'conversation:join', payload: {}, code: 'invalid_payload' },
  { event: 'conversation:join', payload: 'secret', code: 'forbidden' },
];

for (const { event, payload, code } of FAILURES) {
  test(`${event} that fails as ${code} without a callback is told by an error event`, async () => {
    const alice = await connect(server, 'alice');
    alice.socket.emit(event, payload);
    const { error, ...rest } = await alice.hear('error');
    assertHas(rest, { event, code });
    assert.match(error, /^\p{L}.{8,}/u);
  });
}

test('an event that succeeds without a callback is silent', async () => {
  const alice = await connect(server, 'alice', { claims });
  alice.socket.emit('conversation:join', 'c1');
  await alice.ask('conversation:join', 'c1');
  assert.deepEqual(await alice.heard(), []);
});

test('the error event reaches the socket that failed and no other of its user', async () => {
  const tabs = [await connect(server, 'alice'), await connect(server, 'alice')];
  tabs[0].socket.emit('make-coffee');
  await tabs[0].hear('error');
  assert.deepEqual(await tabs[1].heard(), []);
});

for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
  test(`a 2.x client with a query enters /chat over ${transports.join(' and ')}`, async () => {
    const options = { transports, query: { x: '1', long: 'y'.repeat(300) } };
    const alice = await connect2(server, 'alice', { claims, namespace: '/chat', options });
    assertHas(await alice.ask('conversation:join', 'c1'), { success: true });
    await server.emit({ room: 'conversation:c1' }, 'message:new', message);
    assert.deepEqual(await alice.heard(), [['message:new', message]]);
  });
}

const ROUNDS = 60;
const OPENERS = [
  { version: '4.8', open: (token, transports) => open4(server, { auth: { token }, transports }) },
  { version: '2.5', open: (token, transports) => open2(server, { token, transports }) },
];

async function connectionsOf(userId) {
  const response = await fetch(`${server.url}/api/presence/${userId}`, {
    headers: { authorization: `Bearer ${tokenFor(userId)}` },
  });
  return (await response.json()).connections;
}

for (const { version, open } of OPENERS) {
  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
    test(`a second namespace that is left and entered at once is connected: ${version}, ${transports}`, async () => {
      const racers = Array.from({ length: ROUNDS }, (_, n) => `${transports[0]}-${n}`);
      await Promise.all(
        racers.map(async (userId) => {
          const token = tokenFor(userId);
          const root = open(token, transports);
          const chat = root.io.socket('/chat', { auth: { token } });
          // Twice while the transport opens, and again as soon as it is there.
          chat.connect();
          chat.connect();
          await once(chat, 'connect');
          chat.disconnect();
          chat.connect();
          await once(chat, 'connect');
          const client = new Client(server, userId, chat);
          assertRefused(await client.ask('make-coffee', {}), 'unknown_event');
          if (!root.connected) await once(root, 'connect');
          assert.equal(await connectionsOf(userId), 2, 'no ghost');
          root.disconnect();
          chat.disconnect();
        }),
      );
      while ((await Promise.all(racers.map(connectionsOf))).some((connections) => connections > 0)) {
        await new Promise((next) => setTimeout(next, 50));
      }
    });
  }
}
