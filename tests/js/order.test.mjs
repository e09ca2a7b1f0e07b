// Order: what is emitted first is heard first, and what is asked first is answered first.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from './support/client.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ LIMITS: 'off', ROOM_POLICY: 'open' });
const EVENTS = 1_000;
/** How many events a client sends before it waits for their answers: below the server's queue. */
const WINDOW = 50;
const inOrder = Array.from({ length: EVENTS }, (_, n) => n);

for (const transport of ['websocket', 'polling']) {
  test(`two clients in one room hear ${EVENTS} events in order over ${transport}`, async () => {
    const options = { transports: [transport] };
    const clients = [
      await connect(server, 'alice', { options }),
      await connect(server, 'bob', { options }),
    ];
    for (const client of clients) await client.ask('conversation:join', 'c1');

    const to = { room: 'conversation:c1' };
    for (let at = 0; at < EVENTS; at += 100) {
      const numbers = inOrder.slice(at, at + 100);
      const last = ({ n }) => n === numbers.at(-1);
      await server.emitBatch(numbers.map((n) => ({ to, event: 'message:new', data: { n } })));
      // The queue of a client that polls is short; here it is about order alone.
      if (transport === 'polling') {
        for (const client of clients) await client.hear('message:new', last);
      }
    }
    for (const client of clients) {
      assert.deepEqual(await client.heard(), inOrder.map((n) => ['message:new', { n }]));
    }
  });

  test(`${EVENTS} events of each of two clients are answered in order over ${transport}`, async () => {
    const options = { transports: [transport] };
    const clients = [
      await connect(server, 'alice', { options }),
      await connect(server, 'bob', { options }),
    ];
    // Joins, leaves and failures, which take different ways through the server.
    const requests = ['conversation:join', 'conversation:leave', 'join-chat-room', 'make-coffee'];
    const answered = await Promise.all(
      clients.map(async (client) => {
        const order = [];
        for (let at = 0; at < EVENTS; at += WINDOW) {
          const asked = inOrder.slice(at, at + WINDOW).map(async (n) => {
            const event = requests[n % requests.length];
            await client.ask(event, `c${Math.floor(n / 2) % 20}`);
            order.push(n);
          });
          await Promise.all(asked);
        }
        return order;
      }),
    );
    for (const order of answered) assert.deepEqual(order, inOrder);
  });
}

test('typing of one client is heard by another in the order in which it was typed', async () => {
  const alice = await connect(server, 'alice');
  const bob = await connect(server, 'bob');
  for (const client of [alice, bob]) await client.ask('conversation:join', 'c1');
  const expected = [];
  for (let round = 0; round < 20; round += 1) {
    alice.socket.emit('typing:start', { conversationId: 'c1', userName: 'Alice' });
    alice.socket.emit('typing:stop', { conversationId: 'c1' });
    expected.push('typing:start', 'typing:stop');
  }
  await alice.ask('conversation:join', 'c1');
  const heard = (await bob.heard()).map(([name]) => name);
  assert.deepEqual(heard.filter((name) => name.startsWith('typing:')), expected);
});
