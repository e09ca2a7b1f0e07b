// Connection state recovery with the unmodified client: rooms and missed events are found again after
// a lost network, a killed server, and while the server still holds the old connection.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connect2, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const quiet = { LIMITS: 'off', PRESENCE_AUDIENCE: 'off', ROOM_POLICY: 'open' };
const server = await startServer(quiet);

/** Everything as it came, offsets included. */
function raw(client) {
  const events = [];
  client.socket.onAny((...event) => events.push(event));
  return events;
}

/** Has the client lose its connection, and come back after `meanwhile`. */
async function comesBack({ socket }, meanwhile = async () => {}) {
  const gone = once(socket, 'disconnect');
  socket.io.reconnection(false);
  const { engine } = socket.io;
  if (engine.transport.name === 'websocket') engine.transport.ws.terminate();
  else engine.close();
  await gone;
  await meanwhile();
  const back = once(socket, 'connect');
  socket.io.reconnection(true);
  socket.connect();
  await back;
}

for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
  const over = transports.join(', then ');
  const options = { transports };

  test(`who lost the network hears what they missed, over ${over}`, async () => {
    const alice = await connect(server, 'alice', { options });
    if (transports.length === 2) await upgraded(alice);
    const { id } = alice.socket;
    assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    await alice.ask('conversation:join', 'c1');
    await server.emit({ room: 'conversation:c1' }, 'message:new', { n: 0 });
    await alice.hear('message:new');
    const events = raw(alice);
    await comesBack(alice, async () => {
      await server.emit({ room: 'conversation:c1' }, 'message:new', { n: 1 });
      await server.emit({ room: 'conversation:c2' }, 'message:new', { n: 2 });
      await server.emit({ user: 'alice' }, 'news', { n: 3 });
      await server.emit({ rooms: ['conversation:c1', 'user-alice'] }, 'news', { n: 4 });
      await server.emit('everyone', 'news', { n: 5 });
      await server.emit({ rooms: ['conversation:c1'], except: ['user-alice'] }, 'news', { n: 6 });
    });
    assert.equal(alice.socket.recovered, true);
    assert.equal(alice.socket.id, id);
    await server.emit({ room: 'conversation:c1' }, 'message:new', { n: 7 });
    assert.deepEqual(numbers(await alice.heard()), [0, 1, 3, 4, 5, 7]);
    for (const event of events) assert.match(event.at(-1), /^[0-9a-z]+(-[0-9a-z]+)*$/);
  });

  test(`who comes back after a kill -9 hears what they missed, over ${over}`, async () => {
    const own = await startServer(quiet);
    const alice = await connect(own, 'alice', { options });
    if (transports.length === 2) await upgraded(alice);
    await alice.ask('conversation:join', 'c1');
    await own.emit({ room: 'conversation:c1' }, 'message:new', { n: 0 });
    await alice.hear('message:new');
    const back = once(alice.socket, 'connect');
    await own.kill();
    await own.start();
    await own.emit({ room: 'conversation:c1' }, 'message:new', { n: 1 });
    await back;
    assert.equal(alice.socket.recovered, true);
    await own.emit({ room: 'conversation:c1' }, 'message:new', { n: 2 });
    assert.deepEqual(numbers(await alice.heard()), [0, 1, 2]);
  });
}

async function upgraded({ socket }) {
  const { engine } = socket.io;
  if (engine.transport.name !== 'websocket') await once(engine, 'upgrade');
}

function numbers(heard) {
  return heard.map(([, { n }]) => n);
}

test('who has heard nothing yet hears from where they joined', async () => {
  const alice = await connect(server, 'alice0', { options: { transports: ['websocket'] } });
  await server.emit({ room: 'conversation:c3' }, 'message:new', { n: 0 });
  await alice.ask('conversation:join', 'c3');
  await comesBack(alice, () => server.emit({ room: 'conversation:c3' }, 'message:new', { n: 1 }));
  assert.equal(alice.socket.recovered, true);
  assert.deepEqual(numbers(await alice.heard()), [1]);
});

test('a room that was left, and one that may not be entered any more, is not entered again', async () => {
  const strict = await startServer({ ...quiet, ROOM_POLICY: 'strict' });
  const claims = { rooms: ['conversation:c1', 'conversation:c2', 'conversation:c3'] };
  const auth = { token: tokenFor('alice', claims) };
  const options = { transports: ['websocket'], auth };
  const alice = await connect(strict, 'alice', { options });
  for (const id of ['c1', 'c2', 'c3']) await alice.ask('conversation:join', id);
  await alice.ask('conversation:leave', 'c3');
  await strict.emit({ user: 'alice' }, 'news', { n: 0 });
  await alice.hear('news');
  alice.socket.auth.token = tokenFor('alice', { rooms: ['conversation:c1', 'conversation:c3'] });
  await comesBack(alice, async () => {
    for (const n of [1, 2, 3]) {
      await strict.emit({ room: `conversation:c${n}` }, 'message:new', { n });
    }
  });
  assert.equal(alice.socket.recovered, true);
  for (const n of [1, 2, 3]) {
    await strict.emit({ room: `conversation:c${n}` }, 'message:new', { n: 10 + n });
  }
  assert.deepEqual(numbers(await alice.heard()), [0, 1, 11]);
});

test('a session is its user\'s, and over when its client left or was put out', async () => {
  const alice = await connect(server, 'alice', { options: { transports: ['websocket'] } });
  await server.emit({ user: 'alice' }, 'news', { n: 0 });
  await alice.hear('news');
  const [pid, offset] = [alice.socket._pid, alice.socket._lastOffset];
  const as = (userId, auth) => connected(server, userId, open4(server, {
    auth: { token: tokenFor(userId), ...auth },
    transports: ['websocket'],
  }));
  const mallory = await as('mallory', { pid, offset });
  assert.notEqual(mallory.socket._pid, pid);
  // Who comes back takes the place of who is still there, and keeps its id.
  const { id } = alice.socket;
  const again = await as('alice', { pid, offset });
  assert.equal(again.socket.id, id);
  assert.equal(again.socket._pid, pid);
  alice.close();
  again.close();
  const left = await connect(server, 'bob', { options: { transports: ['websocket'] } });
  const lefts = left.socket._pid;
  left.close();
  const anew = await as('bob', { pid: lefts });
  assert.notEqual(anew.socket._pid, lefts);
});

test('what is not kept leaves the offset alone, though it ends in a text', async () => {
  const alice = await connect(server, 'alice', { options: { transports: ['websocket'] } });
  const events = raw(alice);
  await server.emit({ user: 'alice' }, 'news', 'kept');
  await alice.hear('news');
  const offset = alice.socket._lastOffset;
  await server.emit({ user: 'alice' }, 'vol', 'volatile', { volatile: true });
  await alice.hear('vol');
  assert.equal(alice.socket._lastOffset, offset);
  assert.deepEqual(events, [['news', 'kept', offset], ['vol', 'volatile', null]]);
});

test('a socket is a room of its own, and can be left out', async () => {
  const alice = await connect(server, 'alice', { options: { transports: ['websocket'] } });
  const other = await connect(server, 'alice', { options: { transports: ['polling'] } });
  assert.match(other.socket.id, /^[0-9a-f-]{36}$/);
  await server.emit({ room: alice.socket.id }, 'news', { n: 1 });
  await server.emit({ rooms: ['user-alice'], except: [alice.socket.id] }, 'news', { n: 2 });
  await server.emit({ room: other.socket.id }, 'news', { n: 3 });
  assert.deepEqual(numbers(await alice.heard()), [1]);
  assert.deepEqual(numbers(await other.heard()), [2, 3]);
});

test('a join with since on connect hears nothing twice', async () => {
  const options = { transports: ['websocket'] };
  const alice = await connect(server, 'alice', { options });
  const { seq } = await alice.ask('conversation:join', { conversationId: 'c9', since: 0 });
  await server.emit({ room: 'conversation:c9' }, 'message:new', { n: 1 });
  await alice.hear('message:new');
  let joined;
  alice.socket.on('connect', () => {
    joined = alice.ask('conversation:join', { conversationId: 'c9', since: seq + 1 });
  });
  await comesBack(alice, () => server.emit({ room: 'conversation:c9' }, 'message:new', { n: 2 }));
  assert.equal(alice.socket.recovered, true);
  assert.equal((await joined).recovered, true);
  await server.emit({ room: 'conversation:c9' }, 'message:new', { n: 3 });
  assert.deepEqual(numbers(await alice.heard()), [1, 2, 3]);
});

test('who missed too much is told so', async () => {
  const options = { transports: ['websocket'] };
  const alice = await connect(server, 'alice', { options });
  await alice.ask('conversation:join', 'c8');
  await server.emit({ room: 'conversation:c8' }, 'message:new', { n: 0 });
  await alice.hear('message:new');
  const { id } = alice.socket;
  await comesBack(alice, async () => {
    for (let at = 0; at < 1100; at += 100) {
      const to = { room: 'conversation:c8' };
      await server.emitBatch(Array.from({ length: 100 }, () => ({ to, event: 'news', data: {} })));
    }
  });
  assert.equal(alice.socket.recovered, false);
  assert.notEqual(alice.socket.id, id);
  await server.emit({ room: 'conversation:c8' }, 'news', { n: 1 });
  assert.deepEqual(numbers(await alice.heard()), [0]);
});

test('with RECOVERY=off nothing is told of it', async () => {
  const off = await startServer({ ...quiet, RECOVERY: 'off' });
  const alice = await connect(off, 'alice', { options: { transports: ['websocket'] } });
  const events = raw(alice);
  await off.emit({ user: 'alice' }, 'news', { n: 1 });
  await alice.hear('news');
  assert.equal(alice.socket._pid, undefined);
  assert.deepEqual(events, [['news', { n: 1 }]]);
});

test('the 2.x client hears what it always heard', async () => {
  const alice = await connect2(server, 'alice', {});
  const events = [];
  const { onevent } = alice.socket;
  alice.socket.onevent = (packet) => {
    events.push(packet.data);
    onevent.call(alice.socket, packet);
  };
  await server.emit({ user: 'alice' }, 'news', { n: 1 });
  await alice.hear('news');
  assert.deepEqual(events, [['news', { n: 1 }]]);
});
