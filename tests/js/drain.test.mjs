// A server that is told to end says so, closes in good order, and its clients find the next one.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connect, connect2 } from './support/client.mjs';
import { once, within } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';

const claims = { rooms: ['conversation:c1'] };
const websocket = { transport: 'websocket', ends: ['transport close'] };
const polling = { transport: 'polling', ends: ['transport close', 'transport error'] };
const CASES = [
  { client: 'the current client', open: connect, ...websocket },
  { client: 'the current client', open: connect, ...polling },
  { client: 'the 2.x client', open: connect2, ...websocket },
  { client: 'the 2.x client', open: connect2, ...polling },
];

for (const { client, open, transport, ends } of CASES) {
  test(`${client} on ${transport} is told of SIGTERM and reconnects by itself to the next process`, async () => {
    const server = await startServer({ DRAIN_TIMEOUT: '5s' });
    const alice = await open(server, 'alice', { claims, options: { transports: [transport] } });
    await alice.ask('conversation:join', 'c1');
    const disconnected = once(alice.socket, 'disconnect');
    const back = disconnected.then(
      () => new Promise((resolve) => alice.socket.once('connect', resolve)),
    );

    const begun = Date.now();
    assert.deepEqual(await server.terminate(), { code: 0, signal: null });
    assert(Date.now() - begun < 6_000, 'within the deadline of the drain');
    assertHas(await alice.hear('session:closing'), { reason: 'draining', retryable: true });
    // After either the client comes back by itself; a poll may find that no one listens any more.
    const [reason] = await disconnected;
    assert(ends.includes(reason), reason);

    await server.start();
    await within(back, () => 'the reconnection');
    assertHas(await alice.ask('conversation:join', 'c1'), { success: true });
    await server.emit({ room: 'conversation:c1' }, 'message:new', { messageId: 'm1' });
    assert.deepEqual(await alice.hear('message:new'), { messageId: 'm1' });
  });
}

for (const { client, open, transport } of CASES) {
  test(`${client} on ${transport} is told of SIGTERM in the middle of a stream of events`, async () => {
    const server = await startServer({ DRAIN_TIMEOUT: '5s' });
    const options = { transports: [transport], reconnection: false };
    const users = [];
    for (let n = 0; n < 6; n += 1) users.push(await open(server, `user${n}`, { options }));
    const gone = users.map(({ socket }) => once(socket, 'disconnect'));
    const stream = emitUntilRefused(server, 'everyone');
    for (const user of users) await user.hear('payment-update');

    assert.deepEqual(await server.terminate(), { code: 0, signal: null });
    await Promise.all([...gone, stream]);
    for (const user of users) {
      assertHas(await user.hear('session:closing'), { reason: 'draining' });
    }
  });
}

/** Emits one event after the other for as long as someone listens. */
async function emitUntilRefused(server, to) {
  const body = { to, event: 'payment-update', data: {} };
  while (await server.post('/api/emit', body).catch(() => null));
}

test('new clients are taken after SIGTERM, until the balancer has had its time to notice', async () => {
  const server = await startServer({ DRAIN_DELAY: '4s', DRAIN_TIMEOUT: '9s' });
  const alice = await connect(server, 'alice');
  const ended = server.terminate();
  const notReady = async () => {
    while ((await fetch(`${server.url}/readyz`)).status !== 503);
  };
  await within(notReady(), () => '503');
  const bob = await connect(server, 'bob');
  for (const user of [alice, bob]) {
    assertHas(await user.hear('session:closing'), { reason: 'draining', retryable: true });
  }
  assert.deepEqual(await ended, { code: 0, signal: null });
});

test('a server without clients ends at once', async () => {
  const server = await startServer();
  const begun = Date.now();
  assert.deepEqual(await server.terminate(), { code: 0, signal: null });
  assert(Date.now() - begun < 5_000, 'long before the twenty seconds that clients would get');
});
