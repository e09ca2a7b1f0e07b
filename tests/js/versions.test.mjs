// Every official client of these years over every transport: all of them find the same server.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connected, track } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { secondsFromNow, tokenFor } from './support/tokens.mjs';
import { WAYS } from './support/versions.mjs';

const server = await startServer({
  LIMITS: 'off',
  AUTH_QUERY: 'token',
  STOA_AUTH__LEEWAY: '0s',
});

/** Beyond the basic plane: letters, joined emoji, the last code point. */
const BEYOND = ['𝄞 clef', '👩‍👩‍👧 🏛️ 🇬🇷', '𠮷野家', '\u{10FFFF}', 'a\u2028b\u2029c'];
/** Such letters as a client can say: bodies of 1.x polls are UTF-8 twice, for every server since. */
const textsFor = ({ isPlain }) => (isPlain ? ['plain', 'letters'] : BEYOND);
const BURST = Array.from({ length: 200 }, (_, n) => n);

let users = 0;
/** A user whom no other test knows. */
const someone = () => `user${(users += 1)}`;

const as = (userId) => ({ authorization: `Bearer ${tokenFor(userId)}` });

async function posted(path, body, userId) {
  const response = await server.post(path, body, as(userId));
  const answer = await response.text();
  assert.equal(response.status, 201, answer);
  return JSON.parse(answer);
}

/** A conversation of two, by its id. */
async function conversationOf(one, other) {
  const { conversation } = await posted('/api/conversations', { participantIds: [other] }, one);
  return conversation.id;
}

const say = (conversation, userId, content) =>
  posted(`/api/conversations/${conversation}/messages`, { content }, userId);

/** The contents of the messages that a client heard. */
const contents = (heard) =>
  heard.filter(([name]) => name === 'message:new').map(([, { content }]) => content);

const SCENARIOS = {
  async 'connects with a token, however it is said, and enters rooms'(way) {
    for (const { options } of way.says) {
      const id = someone();
      const token = tokenFor(id, { rooms: ['conversation:c1', 'chat-c1'] });
      const client = await connected(server, id, way.open(server, options(token)));
      assertHas(await client.ask('join-user-room', id), { success: true, room: `user-${id}` });
      assertHas(await client.ask('conversation:join', 'c1'), { room: 'conversation:c1' });
      assertHas(await client.ask('join-chat-room', 'c1'), { room: 'chat-c1' });
      await server.emit({ room: 'chat-c1' }, 'delivery-update', { to: id });
      assert.deepEqual(await client.heard(), [['delivery-update', { to: id }]]);
      client.close();
    }
  },

  async 'is told why its token is refused'(way) {
    const expected = 'Authentication error: jwt malformed';
    for (const { options } of way.says) {
      const [error] = await once(way.open(server, options('garbage')), way.refusal);
      assert.equal(error.message ?? error, expected);
    }
  },

  async 'sends, is answered, and hears others, in letters of every kind'(way) {
    const texts = textsFor(way);
    const [alice, bob] = [someone(), someone()];
    const conversationId = await conversationOf(alice, bob);
    const [one, other] = [await way.connect(server, alice), await way.connect(server, bob)];
    for (const client of [one, other]) {
      assertHas(await client.ask('conversation:join', conversationId), { success: true });
    }
    for (const content of texts) {
      const { success, message } = await one.ask('message:send', { conversationId, content });
      assert.equal(success, true);
      assert.equal(message.content, content);
      const typing = { conversationId, userName: content };
      assertHas(await one.ask('typing:start', typing), { success: true });
      await other.hear('typing:start', ({ userName }) => userName === content);
    }
    assert.deepEqual(contents(await other.heard()), texts);
    assert.deepEqual(contents(await one.heard()), []);
  },

  async 'hears 200 events in order, and has as many answered in order'(way) {
    const client = await way.connect(server, someone(), {}, { rooms: ['conversation:c1'] });
    const to = { user: client.userId };
    for (const half of [BURST.slice(0, 100), BURST.slice(100)]) {
      await server.emitBatch(half.map((n) => ({ to, event: 'message:new', data: { n } })));
    }
    assert.deepEqual(await client.heard(), BURST.map((n) => ['message:new', { n }]));

    const answered = [];
    for (let at = 0; at < BURST.length; at += 50) {
      const asked = BURST.slice(at, at + 50).map(async (n) => {
        assertHas(await client.ask('conversation:join', 'c1'), { success: true });
        answered.push(n);
      });
      await Promise.all(asked);
    }
    assert.deepEqual(answered, BURST);
  },

  async 'comes back and is told what it missed'(way) {
    const texts = textsFor(way);
    const [alice, bob] = [someone(), someone()];
    const conversationId = await conversationOf(alice, bob);
    const client = await way.connect(server, alice);
    await client.ask('conversation:join', conversationId);
    await say(conversationId, bob, 'heard');
    const { seq: since } = await client.hear('message:new');

    const gone = once(client.socket, 'disconnect');
    client.socket.io.engine.close();
    await gone;
    for (const content of texts) await say(conversationId, bob, content);
    if (!client.socket.connected) await once(client.socket, 'connect');
    const answer = await client.ask('conversation:join', { conversationId, since });
    assertHas(answer, { success: true, recovered: true, replayed: texts.length });
    assert.deepEqual(contents(await client.heard()), ['heard', ...texts]);
    await say(conversationId, bob, 'live again');
    assert.deepEqual(contents(await client.heard()), ['live again']);
  },

  async 'enters a second namespace with a query, leaves it and enters it again'(way) {
    const rooms = ['conversation:c1'];
    const client = await way.connect(server, someone(), {}, { rooms });
    const auth = { token: tokenFor(client.userId, { rooms }) };
    const query = `x=1&long=${'y'.repeat(300)}`;
    const chat = track(client.socket.io.socket('/chat', { auth, query }));
    const inside = await connected(server, client.userId, chat);
    for (let times = 0; times < 3; times += 1) {
      assertHas(await inside.ask('conversation:join', 'c1'), { success: true });
      await server.emit({ user: client.userId }, 'conversation:added', { times });
      assert.deepEqual(await inside.heard(), [['conversation:added', { times }]]);
      chat.disconnect();
      assert.equal(chat.connected, false);
      const again = once(chat, 'connect');
      chat.connect();
      await again;
    }
    const heard = await client.heard();
    assert.deepEqual(heard, [0, 1, 2].map((times) => ['conversation:added', { times }]));
  },

  async 'leaves a room and enters it again, and the server, too'(way) {
    const client = await way.connect(server, someone(), {}, { rooms: ['conversation:c1'] });
    const tell = (n) => server.emit({ room: 'conversation:c1' }, 'message:edited', { n });
    assertHas(await client.ask('conversation:join', 'c1'), { success: true });
    await tell(1);
    assertHas(await client.ask('conversation:leave', 'c1'), { success: true });
    await tell(2);
    assertHas(await client.ask('conversation:join', 'c1'), { success: true });
    await tell(3);
    assert.deepEqual(await client.heard(), [1, 3].map((n) => ['message:edited', { n }]));

    client.socket.disconnect();
    const again = once(client.socket, 'connect');
    client.socket.connect();
    await again;
    await tell(4);
    assertHas(await client.ask('conversation:join', 'c1'), { success: true });
    await tell(5);
    assert.deepEqual(await client.heard(), [['message:edited', { n: 5 }]]);
  },
};

for (const [what, scenario] of Object.entries(SCENARIOS)) {
  for (const way of WAYS) test(`${way.name} ${what}`, () => scenario(way));
}

test('each that the server closes is told why, and comes back with a fresh token', async () => {
  const ends = { exp: secondsFromNow(3) };
  const closed = WAYS.map(async (way) => {
    const id = someone();
    const client = await way.connect(server, id, {}, ends);
    const { socket } = client;
    socket.io.on('reconnect_attempt', () => {
      const fresh = way.says[0].options(tokenFor(id));
      Object.assign(socket.io.opts, fresh);
      Object.assign(socket, fresh);
    });
    const [reason] = await once(socket, 'disconnect');
    assert.equal(reason, 'transport close', way.name);
    assertHas(await client.hear('session:closing'), { reason: 'token_expired' });
    if (!socket.connected) await once(socket, 'connect');
    await server.emit({ user: id }, 'unread-count-update', { unreadCount: 1 });
    await client.hear('unread-count-update');
  });
  await Promise.all(closed);
});
