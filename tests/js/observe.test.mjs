// `stoa observe` before the servers that apps run today: what they and their clients say passes
// unchanged, and what the move would change is told, and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connect2, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { observe } from './support/observer.mjs';
import { older, startChat, startMarket } from './support/seeds.mjs';
import { tokenFor } from './support/tokens.mjs';
import { WAYS } from './support/versions.mjs';

const now = () => new Date().toISOString();
const ids = { id: 'a', _id: 'a' };

/** What the backend of a marketplace tells about a request, from its offer to its end. */
function marketTells(market) {
  const { emitGlobalEvent, emitToRoom } = market;
  const request = { ...ids, buyerId: 'ben', title: 'A lamp', description: 'Green' };
  emitToRoom('sellers', 'new-purchase-request', { ...request, status: 'open', createdAt: now() });
  const offer = { ...ids, requestId: 'r', sellerId: 'sue', amount: 35.5, currency: 'USD' };
  emitToRoom('buyer-ben', 'new-offer', { requestId: 'r', offer, sellerId: 'sue' });
  const accepted = { sellerId: 'sue', requestId: 'r', eventType: 'offer-accepted' };
  const data = { offerId: 'o', isSelected: true };
  emitToRoom('seller-sue', 'seller-offer-update', { ...accepted, data });
  const update = { type: 'status_changed', requestId: 'r', status: 'paid', paymentId: 'p' };
  emitToRoom('request-r', 'purchase-request-update', update);
  emitToRoom('request-r', 'delivery-update', { requestId: 'r', status: 'On its way' });
  emitToRoom('request-r', 'delivery-code-generated', { requestId: 'r', deliveryCode: '1234' });
  emitGlobalEvent('payment-update', { paymentId: 'p', status: 'confirmed' });
  emitGlobalEvent('template-checkout-payment-pending', { checkoutId: 'c' });
  const message = { _id: 'm', content: 'Hello', senderId: 'sue', createdAt: now() };
  emitToRoom('chat-c', 'new-message', { chatId: 'c', message, senderId: 'sue' });
  emitToRoom('user-ben', 'unread-count-update', { unreadCount: 3 });
  const perks = ['A badge'];
  emitToRoom('user-ben', 'level-up', { oldLevel: 1, newLevel: 2, lifetimePoints: 100, perks });
}


for (const [name, make, ways] of [
  ['a chat server of today', undefined, WAYS],
  ['a chat server of 2.x', older, WAYS.filter(({ refusal }) => refusal === 'error')],
]) {
  test(`there is nothing to do for the apps of ${name}, whatever clients they have`, async () => {
    const chat = await startChat(make, make && { perMessageDeflate: true });
    const server = await observe(chat.url);
    for (const way of ways) {
      const c = `c ${way.name}`;
      const long = 'Words that are long enough to be packed. '.repeat(100);
      const [ann, bob] = await Promise.all([
        way.connect(server, 'ann'),
        way.connect(server, 'bob'),
      ]);
      for (const client of [ann, bob]) await client.ask('conversation:join', c);
      ann.socket.emit('typing:start', { conversationId: c, userName: 'Ann' });
      await bob.hear('typing:start');
      await ann.ask('message:send', { conversationId: c, content: long });
      assert.equal((await bob.hear('message:new')).content, long);
      ann.socket.emit('typing:stop', { conversationId: c });
      await bob.hear('typing:stop');
      await bob.ask('conversation:leave', c);
      for (const client of [ann, bob]) client.close();
    }
    if (!make) {
      const refused = open4(server, { auth: { token: 'none' } });
      assert.match((await once(refused, 'connect_error'))[0].message, /jwt malformed/);
    }
    const report = await server.report();
    assert.deepEqual(report.toDo, [], report.text);
    assert.match(report.text, /Nothing to do\.\n+$/);
    const events = (list) => Object.fromEntries(list.map(({ event, count }) => [event, count]));
    const said = events(report.clientEvents);
    for (const event of ['message:send', 'typing:start', 'typing:stop', 'conversation:leave']) {
      assert.equal(said[event], ways.length, event);
    }
    assert.equal(said['conversation:join'], 2 * ways.length);
    assert.equal(events(report.serverEvents)['message:new'], ways.length);
    assert.deepEqual([report.read.lost, report.read.unreadable, report.code], [0, 0, 0]);
    if (make) assert.notEqual(report.sessions.compressed, 0);
    assert.doesNotMatch(JSON.stringify(report), /long enough|eyJ|\bann\b|\bbob\b/);
  });
}

test('there is nothing to do for the apps of a marketplace', async () => {
  const market = await startMarket(undefined, { perMessageDeflate: { threshold: 0 } });
  const server = await observe(market.url, { HANDSHAKE: 'trusting' });
  const options = { withCredentials: true, transports: ['websocket'] };
  const ben = await connect(server, 'ben', { options: { ...options, auth: {} } });
  const sue = await connect2(server, undefined, { options: { ...options, token: undefined } });
  for (const [event, id] of [['user', 'ben'], ['buyer', 'ben'], ['chat', 'c'], ['request', 'r']]) {
    ben.socket.emit(`join-${event}-room`, id);
  }
  ben.socket.emit('user-online', 'ben');
  for (const [event, id] of [['seller', 'sue'], ['chat', 'c'], ['request', 'r']]) {
    sue.socket.emit(`join-${event}-room`, id);
  }
  await ben.hear('user-status-change');
  sue.socket.emit('typing-start', { chatId: 'c', userId: 'sue', userName: 'Sue' });
  await ben.hear('user-typing', ({ isTyping }) => isTyping);
  sue.socket.emit('typing-stop', { chatId: 'c', userId: 'sue' });
  await ben.hear('user-typing', ({ isTyping }) => !isTyping);
  marketTells(market);
  await Promise.all([ben.hear('level-up'), sue.hear('new-message')]);
  const report = await server.report();
  assert.deepEqual(report.toDo, [], report.text);
  assert.equal(report.sessions.compressed, 2);
  assert.ok(report.serverEvents.length >= 11);
});

test('five differences are planted, and five are found', async () => {
  const market = await startMarket();
  const server = await observe(market.url, { HANDSHAKE: 'trusting' });
  const ben = await connect(server, 'ben', { options: { auth: {} } });
  // A token in a place that is not read.
  const sue = await connect(server, 'sue', { options: { auth: {}, query: { jwt: tokenFor('sue') } } });
  for (const room of ['user', 'buyer', 'request']) ben.socket.emit(`join-${room}-room`, 'ben');
  sue.socket.emit('join-seller-room', 'sue');
  // An event that nobody hears.
  ben.socket.emit('cart:update', { items: [1, 2] });
  ben.socket.emit('user-online', 'ben');
  await ben.hear('user-status-change');
  marketTells(market);
  // An event that is not in the catalogue, a further field, and a field of another type.
  market.emitGlobalEvent('order:shipped', { orderId: 'o' });
  const offer = { ...ids, requestId: 'r', sellerId: 's', amount: 1, currency: 'USD', discount: 5 };
  market.emitToRoom('buyer-ben', 'new-offer', { requestId: 'r', offer, sellerId: 's' });
  market.emitToRoom('user-ben', 'unread-count-update', { unreadCount: '3' });
  await ben.hear('unread-count-update', ({ unreadCount }) => unreadCount === '3');
  await sue.hear('order:shipped');
  const report = await server.report();
  assert.deepEqual(report.toDo, [
    {
      setting: 'AUTH_QUERY=jwt',
      why: '1 sockets show a token by query jwt, which is not read',
    },
    {
      setting: 'PROXY_URL and PROXY_EVENTS=cart:update',
      why: 'clients say what nobody hears here, until the event proxy is configured for it',
    },
    {
      why:
        'the server says new-offer otherwise, 1 times: ' +
        'offer.discount (integer) is not in the catalogue',
    },
    {
      why:
        'the server says order:shipped, 2 times, which is none of the catalogue: a backend says ' +
        'it with POST /api/emit',
    },
    {
      why:
        'the server says unread-count-update otherwise, 1 times: ' +
        'unreadCount is string, in the catalogue integer',
    },
  ]);
});

test('200 clients through it lose nothing', async () => {
  const ROOMS = 20;
  const MESSAGES = 10;
  const chat = await startChat();
  const server = await observe(chat.url);
  const ways = [
    { open: connect, transports: ['websocket'] },
    { open: connect, transports: ['polling'] },
    { open: connect, transports: ['polling', 'websocket'] },
    { open: connect2, transports: ['websocket'] },
  ];
  const clients = await Promise.all(
    Array.from({ length: 200 }, async (_, number) => {
      const { open, transports } = ways[number % ways.length];
      const client = await open(server, `user${number}`, { options: { transports } });
      client.conversationId = `c${number % ROOMS}`;
      await client.ask('conversation:join', client.conversationId);
      client.messages = new Map();
      client.socket.on('message:new', ({ sender, content }) => {
        const heard = client.messages.get(sender.id) ?? [];
        client.messages.set(sender.id, [...heard, content]);
      });
      return client;
    }),
  );
  const numbers = Array.from({ length: MESSAGES }, (_, number) => `${number}`);
  await Promise.all(
    clients.map(async (client) => {
      const { conversationId } = client;
      for (const content of numbers) await client.ask('message:send', { conversationId, content });
    }),
  );
  for (const client of clients) {
    const others = clients.filter((other) => other.conversationId === client.conversationId);
    const all = (others.length - 1) * MESSAGES;
    const count = (events) => events.filter(([name]) => name === 'message:new').length === all;
    await client.hears(count, `${all} messages`);
    assert.equal(client.messages.size, others.length - 1);
    for (const heard of client.messages.values()) assert.deepEqual(heard, numbers);
  }
  for (const client of clients) client.close();
  const report = await server.report();
  const count = (list, event) => list.find((one) => one.event === event).count;
  assert.equal(count(report.clientEvents, 'message:send'), 200 * MESSAGES);
  assert.equal(count(report.serverEvents, 'message:new'), 200 * (200 / ROOMS - 1) * MESSAGES);
  assert.deepEqual([report.read.lost, report.read.unreadable, report.toDo], [0, 0, []]);
});
