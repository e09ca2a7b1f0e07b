// The client of the marketplace's socket events, as its document prints it: with a cookie where
// rights are checked, and with nothing at all where the server trusts what clients say.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { io } from 'socket.io-client';

import { assertHas, assertRefused, connect, connected, track } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const strict = await startServer();
const trusting = await startServer({ HANDSHAKE: 'trusting', ROOM_POLICY: 'open' });

/** "Connection", as printed, without its TypeScript `!`. */
function connectAsPrinted(server) {
  process.env.NEXT_PUBLIC_API_URL = server.url;

  const socket = io(process.env.NEXT_PUBLIC_API_URL, {
    withCredentials: true,
    transports: ["websocket"],
  });

  return track(socket);
}

/** The same with the cookie that a browser would add by itself. */
function connectWithCookie(server, cookie) {
  const socket = io(server.url, {
    withCredentials: true,
    transports: ["websocket"],
    extraHeaders: { cookie },
  });
  return track(socket);
}

function withToken(userId, claims) {
  const cookie = `theme=dark; token=${tokenFor(userId, claims)}`;
  return connected(strict, userId, connectWithCookie(strict, cookie));
}

/** Each pair of events that joins and leaves, with a token that has the right to it. */
const ROOMS = [
  { subject: 'request', id: 'r1', rooms: ['request-r1'], claims: { rooms: ['request-r1'] } },
  { subject: 'chat', id: 'c1', rooms: ['chat-c1'], claims: { rooms: ['chat-c1'] } },
  {
    subject: 'checkout',
    id: 't1',
    rooms: ['template-checkout-t1'],
    claims: { rooms: ['template-checkout-t1'] },
  },
  { subject: 'seller', id: 'u1', rooms: ['seller-u1', 'sellers'], claims: { role: 'seller' } },
  { subject: 'buyer', id: 'u1', rooms: ['buyer-u1', 'buyers'], claims: { roles: ['buyer'] } },
];
/** How an acknowledgement names the rooms joined. */
const named = (rooms) => (rooms.length === 1 ? { room: rooms[0] } : { rooms });
/** An event for each room, to tell which was heard. */
const notes = (rooms) => rooms.map((room) => ['purchase-request-update', { type: 'note', room }]);

async function emitTo(server, rooms) {
  for (const [index, [event, data]] of notes(rooms).entries()) {
    await server.emit({ room: rooms[index] }, event, data);
  }
}

for (const { subject, id, rooms, claims } of ROOMS) {
  test(`join-${subject}-room lets a token with the right in, and leave-${subject}-room out`, async () => {
    const user = await withToken('u1', claims);
    await emitTo(strict, rooms);
    assert.deepEqual(await user.heard(), [], 'before the join');

    assertHas(await user.ask(`join-${subject}-room`, id), { success: true, ...named(rooms) });
    await emitTo(strict, [...rooms, 'request-other', 'chat-other', 'seller-other', 'buyer-other']);
    assert.deepEqual(await user.heard(), notes(rooms), 'inside');

    assertHas(await user.ask(`leave-${subject}-room`, id), { success: true, ...named(rooms) });
    await emitTo(strict, rooms);
    assert.deepEqual(await user.heard(), [], 'after the leave');
  });

  test(`join-${subject}-room refuses a token without the right`, async () => {
    const mallory = await withToken('mallory', { role: 'user' });
    assertRefused(await mallory.ask(`join-${subject}-room`, id), 'forbidden');
    await emitTo(strict, rooms);
    assert.deepEqual(await mallory.heard(), []);
  });

  test(`join-${subject}-room and leave-${subject}-room work for the printed client without a token`, async () => {
    const user = await connected(trusting, 'u1', connectAsPrinted(trusting));
    assertHas(await user.ask('join-user-room', 'u1'), { success: true, room: 'user-u1' });
    assertHas(await user.ask(`join-${subject}-room`, id), { success: true, ...named(rooms) });
    await emitTo(trusting, [...rooms, 'request-other', 'chat-other']);
    assert.deepEqual(await user.heard(), notes(rooms));
    assertHas(await user.ask(`leave-${subject}-room`, id), { success: true });
    await emitTo(trusting, rooms);
    assert.deepEqual(await user.heard(), []);
  });
}

test('join-user-room answers with the room of the user, and with no one else’s', async () => {
  const user = await withToken('u1');
  assertHas(await user.ask('join-user-room', 'u1'), { success: true, room: 'user-u1' });
  assertRefused(await user.ask('join-user-room', 'u2'), 'forbidden');
  await strict.emit({ user: 'u2' }, 'new-notification', { notification: { _id: 'n1' } });
  await strict.emit({ user: 'u1' }, 'unread-count-update', { unreadCount: 1 });
  assert.deepEqual(await user.heard(), [['unread-count-update', { unreadCount: 1 }]]);
});

test('a seller’s room is closed to buyers, and to other sellers', async () => {
  const buyer = await withToken('u1', { role: 'buyer' });
  assertRefused(await buyer.ask('join-seller-room', 'u1'), 'forbidden');
  const seller = await withToken('u2', { role: 'seller' });
  assertRefused(await seller.ask('join-seller-room', 'u1'), 'forbidden');
});

test('the cookie accessToken carries a token as well', async () => {
  const cookie = `accessToken=${tokenFor('u1')}`;
  const user = await connected(strict, 'u1', connectWithCookie(strict, cookie));
  assertHas(await user.ask('join-user-room', 'u1'), { success: true });
});

test('a new purchase request reaches the sellers only', async () => {
  const seller = await withToken('s1', { role: 'seller' });
  const buyer = await withToken('b1', { role: 'buyer' });
  await seller.ask('join-seller-room', 's1');
  await buyer.ask('join-buyer-room', 'b1');
  const request = { _id: 'r1', title: 'A lamp', budget: { amount: 12.5, currency: 'USDT' } };
  await strict.emit({ room: 'sellers' }, 'new-purchase-request', request);
  assert.deepEqual(await seller.heard(), [['new-purchase-request', request]]);
  assert.deepEqual(await buyer.heard(), []);
});

test('a global event reaches everyone, in whatever rooms they are', async () => {
  const seller = await withToken('s1', { role: 'seller' });
  await seller.ask('join-seller-room', 's1');
  const chatter = await connect(strict, 'alice');
  const payment = { paymentId: 'p1', status: 'confirmed', txHash: '0xabc' };
  await strict.emit('everyone', 'payment-update', payment);
  for (const user of [seller, chatter]) {
    assert.deepEqual(await user.heard(), [['payment-update', payment]]);
  }
});

/** The events of presence and typing, on a server and with the clients it admits. */
const SERVERS = [
  { name: 'with a cookie', server: strict, open: (id) => withToken(id, { rooms: ['chat-c1'] }) },
  {
    name: 'without a token',
    server: trusting,
    open: async (id) => {
      const user = await connected(trusting, id, connectAsPrinted(trusting));
      await user.ask('join-user-room', id);
      return user;
    },
  },
];

for (const { name, server, open } of SERVERS) {
  test(`${name}, user-online is told to others as user-status-change, each time`, async () => {
    const yves = await open('yves');
    const zoe = await open('zoe');
    const online = ({ userId, status }) => userId === 'zoe' && status === 'online';
    const { lastSeen } = await yves.hear('user-status-change', online);
    assert.equal(new Date(lastSeen).toISOString(), lastSeen);
    await yves.heard();

    assertHas(await zoe.ask('user-online', 'zoe'), { success: true, room: 'user-zoe' });
    const again = await yves.hear('user-status-change', online);
    assert.equal(new Date(again.lastSeen).toISOString(), again.lastSeen);
  });

  test(`${name}, typing is told to the others in the chat as user-typing`, async () => {
    const alice = await open('alice');
    const bob = await open('bob');
    const carol = await open('carol');
    for (const user of [alice, bob]) await user.ask('join-chat-room', 'c1');

    const typing = { chatId: 'c1', userId: 'alice' };
    const started = await alice.ask('typing-start', { ...typing, userName: 'Alice' });
    assertHas(started, { success: true });
    assertHas(await alice.ask('typing-stop', typing), { success: true });

    const heard = await bob.heard();
    const heardTyping = heard.filter(([event]) => event === 'user-typing').map(([, data]) => data);
    assert.equal(heardTyping.length, 2);
    assertHas(heardTyping[0], { ...typing, userName: 'Alice', isTyping: true });
    assertHas(heardTyping[1], { ...typing, isTyping: false });
    for (const user of [alice, carol]) assert.deepEqual(await user.heard(), []);
  });
}

test('who types is who the token says, whatever the payload says', async () => {
  const mallory = await withToken('mallory', { rooms: ['chat-c1'] });
  const bob = await withToken('bob', { rooms: ['chat-c1'] });
  for (const user of [mallory, bob]) await user.ask('join-chat-room', 'c1');
  await mallory.ask('typing-start', { chatId: 'c1', userId: 'alice', userName: 'Alice' });
  const typists = (await bob.heard()).map(([, data]) => data.userId);
  assert(!typists.includes('alice'), `bob heard ${typists} type`);
});

for (const first of ['join-user-room', 'join-seller-room', 'join-buyer-room', 'user-online']) {
  test(`without a token, the id in the first ${first} is the identity and stays it`, async () => {
    const user = await connected(trusting, 'u7', connectAsPrinted(trusting));
    assertHas(await user.ask(first, 'u7'), { success: true });
    assertRefused(await user.ask('join-user-room', 'u8'), 'forbidden');
    await trusting.emit({ user: 'u7' }, 'unread-count-update', { unreadCount: 2 });
    await trusting.emit({ user: 'u8' }, 'unread-count-update', { unreadCount: 3 });
    assert.deepEqual(await user.heard(), [['unread-count-update', { unreadCount: 2 }]]);
  });
}

test('where no token is needed, one that is shown is still verified and binds', async () => {
  const refused = connectWithCookie(trusting, 'token=garbage');
  const [error] = await once(refused, 'connect_error');
  assert.equal(error.message, 'Authentication error: jwt malformed');

  const cookie = `token=${tokenFor('u1')}`;
  const user = await connected(trusting, 'u1', connectWithCookie(trusting, cookie));
  assertRefused(await user.ask('join-user-room', 'u2'), 'forbidden');
});
