// Events of an app's own: the official client asks, a backend in Node answers, and Socket.IO's own
// chat example runs with its client as it is.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startBackend } from './support/backend.mjs';
import { assertRefused, connect, connect2, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';

describe('events of the app', async () => {
  const backend = await startBackend(({ event, args, userId, socketId }) => {
    switch (event) {
      case 'cart:add':
        return {
          join: [`cart.${userId}`],
          emit: [{ to: { rooms: [`cart.${userId}`], except: [socketId] }, event: 'cart', data: args }],
          ack: ['added', ...args],
        };
      case 'cart:fail':
        return { error: { code: 'conflict', error: 'The cart is closed.' } };
      case 'cart:broken':
        return { ack: 'not a list' };
      default:
        return {};
    }
  });
  // Without rates: one test asks until it is answered.
  const server = await startServer(backend.environment('cart:*', { LIMITS: 'off' }));

  for (const [version, open] of Object.entries({ current: connect, '2.x': connect2 })) {
    test(`a callback gets the arguments that the backend gives, ${version} client`, async () => {
      const alice = await open(server, 'alice');
      const other = await open(server, 'alice');
      await other.ask('cart:add', 'milk');
      const answered = new Promise((resolve) => {
        alice.socket.emit('cart:add', 'tea', { sugar: 2 }, (...all) => resolve(all));
      });
      assert.deepEqual(await answered, ['added', 'tea', { sugar: 2 }]);
      await other.hears((events) => events.some(([name]) => name === 'cart'), 'the cart');
      assert.deepEqual((await other.heard()).map(([name, data]) => [name, data]), [
        ['cart', ['tea', { sugar: 2 }]],
      ]);
      assert.deepEqual(await alice.heard(), []);
      alice.close();
      other.close();
      assert.deepEqual(backend.refused, []);
    });
  }

  test('a promise is fulfilled with the first of them, and of nothing with success', async () => {
    const alice = await connect(server, 'alice');
    assert.equal(await alice.socket.emitWithAck('cart:add', 'tea'), 'added');
    assert.deepEqual(await alice.socket.emitWithAck('cart:look'), { success: true });
  });

  test('what the backend refuses, and what it fails at, is told with a code', async () => {
    const alice = await connect(server, 'alice');
    assertRefused(await alice.ask('cart:fail'), 'conflict');
    assertRefused(await alice.ask('cart:broken'), 'unavailable');
    assertRefused(await alice.ask('basket:add'), 'unknown_event');
  });

  test('a backend that was away is asked again', async () => {
    const alice = await connect(server, 'alice');
    await backend.stop();
    for (let n = 0; n < 6; n += 1) assertRefused(await alice.ask('cart:look'), 'unavailable');
    const ready = async () => (await fetch(`${server.url}/readyz`)).json();
    assert.deepEqual((await ready()).details, { proxy: 'failing' });
    await backend.start();
    let answer;
    do answer = await alice.ask('cart:look');
    while (answer.code === 'unavailable');
    assert.deepEqual(answer, { success: true });
    assert.deepEqual((await ready()).details, { proxy: 'ok' });
  });
});

test('whose right cannot be told is cut, and comes back to all that they may hear', async () => {
  const allowed = { allow: true, for: 60 };
  const answers = [allowed, { allow: 'perhaps' }];
  const backend = await startBackend(({ kind }) => (kind === 'join' ? (answers.shift() ?? allowed) : {}));
  const server = await startServer(backend.environment('cart:*', { PROXY_ROOMS: 'true' }));
  // A backend that has failed is asked again after a second.
  const later = { reconnectionDelay: 1_500, reconnectionDelayMax: 1_500, randomizationFactor: 0 };
  const alice = await connect(server, 'alice', { options: later });
  assert.equal((await alice.ask('conversation:join', 'x1')).room, 'conversation:x1');
  const cut = once(alice.socket, 'disconnect');
  const { status } = await server.delete('/api/rooms/conversation:x1/members/alice');
  assert.equal(status, 204);
  assert.equal((await cut)[0], 'transport close');
  await server.emit({ room: 'conversation:x1' }, 'news', { n: 1 });
  await once(alice.socket, 'connect');
  assert.equal(alice.socket.recovered, true);
  assert.deepEqual(await alice.hear('news'), { n: 1 });
  assert.deepEqual(answers, []);
});

// https://github.com/socketio/socket.io/tree/main/examples/chat, whose server keeps a name for each
// socket and broadcasts to all others.
describe("Socket.IO's chat example", async () => {
  const names = new Map();
  const toOthers = (socketId, event, data, more) => ({
    emit: [{ to: { rooms: ['chat'], except: [socketId] }, event, data, ...more }],
  });
  const handlers = {
    'add user': ({ socketId, args: [username] }) => {
      if (names.has(socketId)) return {};
      names.set(socketId, username);
      const numUsers = names.size;
      const { emit } = toOthers(socketId, 'user joined', { username, numUsers });
      emit.push({ to: { room: socketId }, event: 'login', data: { numUsers } });
      return { join: ['chat'], emit };
    },
    'new message': ({ socketId, args: [message] }) =>
      toOthers(socketId, 'new message', { username: names.get(socketId), message }),
    typing: ({ socketId }) =>
      toOthers(socketId, 'typing', { username: names.get(socketId) }, { volatile: true }),
    'stop typing': ({ socketId }) =>
      toOthers(socketId, 'stop typing', { username: names.get(socketId) }, { volatile: true }),
  };
  const backend = await startBackend((question) => handlers[question.event](question));
  const events = Object.keys(handlers).join(',');
  // Its client shows no token.
  const server = await startServer(backend.environment(events, { HANDSHAKE: 'trusting' }));

  /** Its client: emits without callbacks, and listens. */
  async function visitor(username) {
    const client = await connected(server, username, open4(server));
    client.socket.emit('add user', username);
    return client;
  }

  test('who logs in is counted, and what they say and type is heard by the others', async () => {
    const ann = await visitor('ann');
    assert.deepEqual(await ann.hear('login'), { numUsers: 1 });
    const bob = await visitor('bob');
    assert.deepEqual(await bob.hear('login'), { numUsers: 2 });
    assert.deepEqual(await ann.hear('user joined'), { username: 'bob', numUsers: 2 });

    bob.socket.emit('typing');
    assert.deepEqual(await ann.hear('typing'), { username: 'bob' });
    bob.socket.emit('stop typing');
    bob.socket.emit('new message', 'hello, ann');
    assert.deepEqual(await ann.hear('stop typing'), { username: 'bob' });
    const said = { username: 'bob', message: 'hello, ann' };
    assert.deepEqual(await ann.hear('new message'), said);

    ann.socket.emit('new message', 'hello, bob');
    assert.deepEqual(await bob.hear('new message'), { username: 'ann', message: 'hello, bob' });
    // Nobody hears themselves, and a second name is not taken.
    ann.socket.emit('add user', 'eve');
    ann.socket.emit('new message', 'still ann');
    await bob.hear('new message', ({ message }) => message === 'still ann');
    const heard = [];
    for (const client of [ann, bob]) {
      await client.hears((all) => heard.push(all.map(([name]) => name)), 'anything');
    }
    assert.deepEqual(heard, [
      ['login', 'user joined', 'typing', 'stop typing', 'new message'],
      ['login', 'new message', 'new message'],
    ]);
    assert.deepEqual(backend.refused, []);
  });
});
