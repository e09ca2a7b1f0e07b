// Both clients over each transport, and over the change from one to the other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connect, connect2 } from './support/client.mjs';
import { once, within } from './support/deadline.mjs';
import { gateBefore } from './support/gate.mjs';
import { startServer } from './support/server.mjs';

const server = await startServer({ LIMITS: 'off' });
const brisk = await startServer({ PING_INTERVAL: '200ms', PING_TIMEOUT: '5s' });

const CLIENTS = [
  { name: 'the current client', open: connect, heartbeat: 'ping' },
  { name: 'the 2.x client', open: connect2, heartbeat: 'pong' },
];
const TRANSPORTS = [
  { over: 'polling only', transports: ['polling'], ends: 'polling' },
  { over: 'websocket only', transports: ['websocket'], ends: 'websocket' },
  { over: 'polling, then websocket', transports: ['polling', 'websocket'], ends: 'websocket' },
];
const claims = { rooms: ['conversation:c1', 'chat-c1'] };
const message = { messageId: 'm1', content: 'hello — 🏛️' };

/** Waits until the client is on the transport it is meant to end on. */
async function settled(client, transport) {
  const { engine } = client.socket.io;
  if (engine.transport.name !== transport) await once(engine, 'upgrade');
  assert.equal(engine.transport.name, transport);
}

for (const { name, open, heartbeat } of CLIENTS) {
  for (const { over, transports, ends } of TRANSPORTS) {
    const options = { transports };

    test(`${name} over ${over} joins, hears and leaves in both dialects`, async () => {
      const alice = await open(server, 'alice', { claims, options });
      await settled(alice, ends);
      const conversation = { conversationId: 'c1', room: 'conversation:c1' };
      assertHas(await alice.ask('conversation:join', 'c1'), { success: true, ...conversation });
      assertHas(await alice.ask('join-chat-room', 'c1'), { success: true, room: 'chat-c1' });
      await server.emit({ room: 'conversation:c2' }, 'message:new', { messageId: 'm0' });
      await server.emit({ room: 'conversation:c1' }, 'message:new', message);
      await server.emit({ room: 'chat-c1' }, 'new-message', message);
      assert.deepEqual(await alice.heard(), [
        ['message:new', message],
        ['new-message', message],
      ]);
      assertHas(await alice.ask('conversation:leave', 'c1'), { success: true });
      assertHas(await alice.ask('leave-chat-room', 'c1'), { success: true });
      await server.emit({ room: 'conversation:c1' }, 'message:new', message);
      await server.emit({ room: 'chat-c1' }, 'new-message', message);
      assert.deepEqual(await alice.heard(), []);
    });

    for (const [namespace, join] of [['/chat', 'conversation:join'], ['/marketplace', 'join-chat-room']]) {
      test(`${name} over ${over} is at home in ${namespace}`, async () => {
        const alice = await open(server, 'alice', { claims, options, namespace });
        const { room } = await alice.ask(join, 'c1');
        await server.emit({ room }, 'message:edited', message);
        assert.deepEqual(await alice.heard(), [['message:edited', message]]);
      });
    }

    test(`${name} over ${over} hears an event of half a megabyte`, async () => {
      const alice = await open(server, 'alice', { options });
      const content = 'stoa '.repeat(100_000);
      await server.emit({ user: 'alice' }, 'message:new', { content });
      assert.equal((await alice.hear('message:new')).content, content);
    });

    test(`${name} over ${over} hears and says text of any script, however it is packed`, async () => {
      const alice = await open(server, 'alice', { claims, options });
      const bob = await connect(server, 'bob', { claims });
      for (const user of [alice, bob]) await user.ask('join-chat-room', 'c1');
      await alice.heard();

      // Engine.IO 3 counts UTF-16 units where it packs several into one body; "44" looks like an
      // error of Socket.IO 2 there.
      const texts = ['🏛️ στοά', '44 柱廊 🏛️🏛️', 'é 44', 'stoa'];
      const to = { room: 'chat-c1' };
      await server.emitBatch(texts.map((text) => ({ to, event: 'new-message', data: { text } })));
      const heard = await alice.heard();
      assert.deepEqual(heard, texts.map((text) => ['new-message', { text }]));
      await bob.heard();

      const typing = { chatId: 'c1', userId: 'alice' };
      const asked = texts.map((userName) => alice.ask('typing-start', { ...typing, userName }));
      for (const answer of await Promise.all(asked)) assertHas(answer, { success: true });
      const names = (await bob.heard()).map(([, data]) => data.userName);
      assert.deepEqual(names, texts);
    });

    test(`${name} over ${over} stays through heartbeats`, async () => {
      const alice = await open(brisk, 'alice', { options });
      for (let beat = 0; beat < 3; beat += 1) await once(alice.socket.io, heartbeat);
      assert.equal(alice.socket.connected, true);
      assert.deepEqual(await alice.heard(), []);
    });
  }

  test(`${name} over polling hears all of a burst, or is told that it was too slow`, async () => {
    const options = { transports: ['polling'], reconnection: false };
    const alice = await open(server, 'alice', { options });
    const to = { user: 'alice' };
    const emits = Array.from({ length: 100 }, () => ({ to, event: 'message:new', data: {} }));
    await Promise.all(Array.from({ length: 20 }, () => server.emitBatch(emits)));

    const count = (events) => events.filter(([event]) => event === 'message:new').length;
    const told = (events) =>
      events.some(([event, data]) => event === 'session:closing' && data.reason === 'slow_consumer');
    await alice.hears((events) => count(events) === 2_000 || told(events), 'all, or the reason');
  });

  test(`${name} loses and doubles none of 500 events while it changes transport`, async () => {
    const gate = await gateBefore(server);
    const through = { url: gate.url, emit: (...args) => server.emit(...args) };
    const alice = await open(through, 'alice');
    const { engine } = alice.socket.io;
    const upgraded = new Promise((resolve) => engine.once('upgrade', resolve));
    const told = [];
    alice.socket.on('message:new', ({ n }) => {
      told.push({ n, transport: engine.transport.name });
      if (told.length === 100) gate.open();
    });

    for (let n = 0; n < 500; n += 1) await server.emit({ user: 'alice' }, 'message:new', { n });
    await within(upgraded, () => 'the change of transport');
    for (let n = 500; n < 510; n += 1) await server.emit({ user: 'alice' }, 'message:new', { n });
    await alice.heard();

    assert.deepEqual(told.map(({ n }) => n), Array.from({ length: 510 }, (_, n) => n));
    assert.equal(told[99].transport, 'polling');
    assert.equal(told[509].transport, 'websocket');
  });
}
