// The door for backend services: what it sends, and what it refuses to.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connect2 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const server = await startServer();
const to = { room: 'conversation:c1' };

async function member() {
  const alice = await connect(server, 'alice', { claims: { rooms: ['conversation:c1'] } });
  await alice.ask('conversation:join', 'c1');
  return alice;
}

const REFUSED = {
  reserved: [
    'connect',
    'connect_error',
    'disconnect',
    'disconnecting',
    'newListener',
    'removeListener',
  ],
  malformed: ['', 'a\n', '\0', '\x7f', 'x'.repeat(129)],
};

for (const [kind, events] of Object.entries(REFUSED)) {
  test(`${kind} event names are refused and nothing reaches the room`, async () => {
    const alice = await member();
    for (const event of events) {
      const response = await server.post('/api/emit', { to, event, data: {} });
      const said = `${JSON.stringify(event)}: ${response.status}`;
      assert.equal(response.status, 422, said);
      assert.match(response.headers.get('content-type'), /^application\/problem\+json/, said);
      const problem = await response.json();
      assert.equal(problem.status, 422);
      assert.equal(typeof problem.code, 'string');
    }
    assert.deepEqual(await alice.heard(), []);
    assert.equal(alice.socket.connected, true);
  });

  test(`${kind} event names in a batch are refused one by one and stop no other`, async () => {
    const alice = await member();
    const emits = events.flatMap((event, n) => [
      { to, event, data: {} },
      { to, event: 'message:new', data: { n } },
    ]);
    const results = await server.emitBatch(emits);
    const statuses = results.map(({ status }) => status);
    assert.deepEqual(statuses, events.flatMap(() => [422, 202]));
    assert.deepEqual(await alice.heard(), events.map((_, n) => ['message:new', { n }]));
  });
}

test('the longest and the oddest allowed names arrive', async () => {
  const alice = await member();
  const events = ['a', 'A.b_c:d-9', `n${'x'.repeat(63)}`];
  for (const event of events) await server.emit(to, event, { event });
  assert.deepEqual(await alice.heard(), events.map((event) => [event, { event }]));
});

test('several arguments arrive as several, at the current client and at 2.x', async () => {
  const claims = { rooms: ['conversation:c1'] };
  const all = [];
  for (const transports of [['websocket'], ['polling']]) {
    all.push(await connect(server, 'bob', { claims, options: { transports } }));
    all.push(await connect2(server, 'carol', { claims, options: { transports } }));
  }
  for (const client of all) await client.ask('conversation:join', 'c1');
  for (const args of [[{ n: 1 }, 'two', [3], null], []]) {
    const heard = all.map(({ socket }) => once(socket, 'chat message'));
    const response = await server.post('/api/emit', { to, event: 'chat message', args });
    assert.equal(response.status, 202);
    for (const [at, one] of heard.entries()) {
      const came = await one;
      // The current client is told how far it is by one argument more.
      if (all[at].socket._pid) assert.match(came.pop(), /^[0-9a-z]+$/);
      assert.deepEqual(came, args);
    }
  }
});

test('the answer counts the sockets reached', async () => {
  await member();
  await member();
  const { id, sockets } = await server.emit(to, 'message:new', {});
  assert.equal(sockets, 2);
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.equal((await server.emit({ room: 'chat-empty' }, 'new-message', {})).sockets, 0);
});

test('a socket in several of the rooms addressed gets one copy', async () => {
  const alice = await member();
  const rooms = ['conversation:c1', 'user-alice'];
  await server.emit({ rooms }, 'message:new', { n: 1 });
  await server.emit({ users: ['alice', 'alice'] }, 'message:new', { n: 2 });
  assert.deepEqual(await alice.heard(), [
    ['message:new', { n: 1 }],
    ['message:new', { n: 2 }],
  ]);
});

test('any JSON value arrives as it was sent', async () => {
  const alice = await member();
  const values = [
    null,
    true,
    0.1,
    -12345678901,
    'text with “quotes”, \u2028 and 🏛️',
    [],
    [1, [2]],
    { a: { b: [null] }, '': 0 },
  ];
  for (const value of values) await server.emit(to, 'message:new', value);
  assert.deepEqual(await alice.heard(), values.map((value) => ['message:new', value]));
});

const STRANGERS = {
  'nobody': [401, {}],
  'a wrong key': [401, { 'x-api-key': 'wrong' }],
  'a user': [403, { authorization: `Bearer ${tokenFor('alice')}` }],
};

for (const [who, [status, headers]] of Object.entries(STRANGERS)) {
  test(`${who} may not emit`, async () => {
    const alice = await member();
    const body = { to, event: 'message:new', data: {} };
    assert.equal((await server.post('/api/emit', body, headers)).status, status);
    assert.equal((await server.post('/api/emit/batch', { emits: [body] }, headers)).status, status);
    assert.deepEqual(await alice.heard(), []);
  });
}

test('a service token may emit as an API key may', async () => {
  const alice = await member();
  const authorization = `Bearer ${tokenFor('backend', { role: 'service' })}`;
  const body = { to, event: 'message:new', data: { n: 1 } };
  const response = await server.post('/api/emit', body, { authorization });
  assert.equal(response.status, 202);
  assert.deepEqual(await alice.heard(), [['message:new', { n: 1 }]]);
});
