// Who is here: one word when a user comes, one when they are gone, to everyone but themselves, or to
// their contacts.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const server = await startServer({ PRESENCE_GRACE: '200ms' });

let users = 0;
/** A user that no other test knows, so that nothing of another test is heard of them. */
const someone = () => `user${(users += 1)}`;

/** What this client has heard of these users so far: `[event, userId, status]`. */
async function heardOf(client, ...ids) {
  const heard = await client.heard({ presence: true });
  return heard
    .filter(([, data]) => ids.includes(data.userId))
    .map(([event, { userId, status }]) => (status ? [event, userId, status] : [event, userId]));
}

const online = (userId) => [
  ['user:online', userId],
  ['user-status-change', userId, 'online'],
];
const offline = (userId) => [
  ['user:offline', userId],
  ['user-status-change', userId, 'offline'],
];
/** The two dialects of one change may come in either order. */
const sorted = (events) => events.map((event) => event.join(' ')).sort();

async function comes(watcher, userId, options) {
  const client = await connect(server, userId, options);
  await watcher.hear('user:online', (data) => data.userId === userId);
  await watcher.hear('user-status-change', (data) => data.userId === userId);
  return client;
}

async function isGone(watcher, userId) {
  await watcher.hear('user:offline', (data) => data.userId === userId);
  const gone = (data) => data.userId === userId && data.status === 'offline';
  return watcher.hear('user-status-change', gone);
}

test('a second tab is not announced, and closing one of two is not told', async () => {
  const [watching, alice, bob, carol] = [someone(), someone(), someone(), someone()];
  const watcher = await connect(server, watching);
  const tab = await comes(watcher, alice);
  const secondTab = await connect(server, alice);
  // Bob comes after the second tab: a word about the tab would be heard before the word on Bob.
  const bobs = await comes(watcher, bob);
  tab.close();
  bobs.close();
  await isGone(watcher, bob);
  await comes(watcher, carol);
  assert.deepEqual(
    sorted(await heardOf(watcher, alice, bob, carol)),
    sorted([...online(alice), ...online(bob), ...offline(bob), ...online(carol)]),
  );

  secondTab.close();
  const { lastSeen } = await isGone(watcher, alice);
  assert.equal(new Date(lastSeen).toISOString(), lastSeen);
  assert.deepEqual(sorted(await heardOf(watcher, alice)), sorted(offline(alice)));
});

test('a tab in another namespace is the same user', async () => {
  const [watching, alice, bob] = [someone(), someone(), someone()];
  const watcher = await connect(server, watching);
  const tab = await comes(watcher, alice, { namespace: '/chat' });
  await connect(server, alice, { namespace: '/marketplace' });
  tab.close();
  const bobs = await comes(watcher, bob);
  bobs.close();
  await isGone(watcher, bob);
  assert.deepEqual(sorted(await heardOf(watcher, alice)), sorted(online(alice)));
});

test('who is back within the grace was never gone', async () => {
  const [watching, alice, bob] = [someone(), someone(), someone()];
  const watcher = await connect(server, watching);
  const tab = await comes(watcher, alice);
  const bobs = await comes(watcher, bob);
  tab.close();
  await connect(server, alice);
  // Bob goes after Alice did: her grace has ended when his has.
  bobs.close();
  await isGone(watcher, bob);
  assert.deepEqual(sorted(await heardOf(watcher, alice)), sorted(online(alice)));
});

test('a user who comes back after the grace is announced again', async () => {
  const [watching, alice] = [someone(), someone()];
  const watcher = await connect(server, watching);
  const tab = await comes(watcher, alice);
  tab.close();
  await isGone(watcher, alice);
  await watcher.heard();
  await comes(watcher, alice);
  assert.deepEqual(sorted(await heardOf(watcher, alice)), sorted(online(alice)));
});

test('user:online is not told to the user', async () => {
  const [first, alice, last] = [someone(), someone(), someone()];
  const watcher = await connect(server, first);
  const tabs = [await comes(watcher, alice), await connect(server, alice)];
  for (const tab of tabs) tab.next = tab.hear('user:online', ({ userId }) => userId === last);
  await connect(server, last);
  for (const tab of tabs) {
    await tab.next;
    const heard = await heardOf(tab, alice, last);
    assert.deepEqual(heard.filter(([event]) => event === 'user:online'), [['user:online', last]]);
  }
});

test('each namespace hears of presence in its own dialect', async () => {
  const [watching, alice, bob] = [someone(), someone(), someone()];
  const chat = await connect(server, watching, { namespace: '/chat' });
  const marketplace = await connect(server, watching, { namespace: '/marketplace' });
  for (const user of [alice, bob]) {
    await connect(server, user);
    await chat.hear('user:online', ({ userId }) => userId === user);
    await marketplace.hear('user-status-change', ({ userId }) => userId === user);
  }
  const [inConversation, inMarketplace] = online(alice);
  assert.deepEqual(await heardOf(chat, alice), [inConversation]);
  assert.deepEqual(await heardOf(marketplace, alice), [inMarketplace]);
});

test('a connection that breaks off is gone like one that closes', async () => {
  const [watching, alice] = [someone(), someone()];
  const watcher = await connect(server, watching);
  const options = { transports: ['websocket'], reconnection: false };
  const client = await comes(watcher, alice, { options });
  const closed = once(client.socket, 'disconnect');
  client.socket.io.engine.transport.ws.terminate();
  await closed;
  await isGone(watcher, alice);
});

test('with PRESENCE_AUDIENCE=contacts those hear who share a conversation, and admins', async () => {
  const server = await startServer({ PRESENCE_GRACE: '200ms', PRESENCE_AUDIENCE: 'contacts' });
  const as = (userId) => ({ authorization: `Bearer ${tokenFor(userId)}` });
  const group = { participantIds: ['bob', 'bea'], type: 'group' };
  const begun = await server.post('/api/conversations', group, as('alice'));
  assert.equal(begun.status, 201);
  const sees = async (userId) => {
    const asked = { userIds: ['alice'] };
    const answer = await server.post('/api/presence/query', asked, as(userId));
    return (await answer.json()).items[0];
  };

  const root = await connect(server, 'root', { claims: { role: 'admin' } });
  const bob = await connect(server, 'bob');
  const bea = await connect(server, 'bea', { namespace: '/chat' });
  const carol = await connect(server, 'carol');
  const alice = await connect(server, 'alice', { options: { transports: ['polling'] } });
  for (const watcher of [root, bob, bea]) {
    await watcher.hear('user:online', ({ userId }) => userId === 'alice');
  }
  assert.equal((await sees('bob')).status, 'online');
  const unknown = { userId: 'alice', status: 'offline', lastSeen: null, connections: 0 };
  assert.deepEqual(await sees('carol'), unknown);

  const again = await alice.ask('user-online', 'alice');
  assert.deepEqual(again, { success: true, room: 'user-alice' });
  alice.close();
  for (const watcher of [root, bob]) await isGone(watcher, 'alice');
  await bea.hear('user:offline', ({ userId }) => userId === 'alice');
  assert.deepEqual(await heardOf(carol, 'alice', 'bob', 'bea', 'root'), []);
  const [comesToBea] = online('alice');
  const [goesToBea] = offline('alice');
  assert.deepEqual(await heardOf(bea, 'alice'), [comesToBea, goesToBea]);
});
