// A socket lives as long as its token, unless it shows a newer one.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connect, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { secondsFromNow, tokenFor } from './support/tokens.mjs';

const server = await startServer({
  STOA_AUTH__LEEWAY: '0s',
  STOA_REALTIME__EXPIRING_NOTICE: '2s',
});
const endsIn = (seconds) => ({ exp: secondsFromNow(seconds) });
const iso = (unixSeconds) => new Date(unixSeconds * 1000).toISOString();

test('a socket is told that its token ends, and a new token extends its life', async () => {
  const soon = endsIn(3);
  const alice = await connect(server, 'alice', { claims: soon });
  const bob = await connect(server, 'bob', { claims: endsIn(4), options: { reconnection: false } });
  const bobIsGone = once(bob.socket, 'disconnect');

  assert.deepEqual(await alice.hear('auth:expiring'), { expiresAt: iso(soon.exp) });
  const later = endsIn(3600);
  const answer = await alice.ask('auth:refresh', { token: tokenFor('alice', later) });
  assertHas(answer, { success: true, expiresAt: iso(later.exp) });

  // Bob's token ends a second after the one that Alice came with.
  await bobIsGone;
  assert.deepEqual(
    (await alice.heard()).map(([name]) => name),
    ['auth:expiring'],
  );
});

test('a socket whose token ends is told and closed, and comes back with a fresh token', async () => {
  const tokens = [tokenFor('alice', endsIn(3)), tokenFor('alice')];
  const auth = (give) => give({ token: tokens.shift() });
  const alice = await connected(server, 'alice', open4(server, { auth }));
  const { io } = alice.socket;
  const back = new Promise((resolve) => io.once('reconnect', resolve));

  const [reason] = await once(alice.socket, 'disconnect');
  const { reason: told, retryable } = await alice.hear('session:closing');
  assert.equal(told, 'token_expired');
  assert.equal(typeof retryable, 'boolean');
  assert.equal(reason, 'transport close', 'only after this does a client come back by itself');

  await back;
  if (!alice.socket.connected) await once(alice.socket, 'connect');
  assert.deepEqual(tokens, []);
  await server.emit({ user: 'alice' }, 'unread-count-update', { unreadCount: 1 });
  assert.deepEqual(await alice.hear('unread-count-update'), { unreadCount: 1 });
});

for (const transport of ['websocket', 'polling']) {
  test(`a ${transport} client is told of its token's end in the middle of a stream of events`, async () => {
    // A client that polls is between two polls most of the time then.
    const options = { transports: [transport], reconnection: false };
    const alice = await connect(server, 'alice', { claims: endsIn(3), options });
    let closed = false;
    const gone = once(alice.socket, 'disconnect').finally(() => (closed = true));
    while (!closed) await server.emit({ user: 'alice' }, 'unread-count-update', {});
    await gone;
    assertHas(await alice.hear('session:closing'), { reason: 'token_expired' });
  });
}

test('a client that comes back with the token that ended is refused', async () => {
  const token = tokenFor('alice', endsIn(3));
  const alice = await connected(server, 'alice', open4(server, { auth: { token } }));
  const [error] = await once(alice.socket, 'connect_error');
  assert.equal(error.message, 'Authentication error: jwt expired');
});

const REFUSED = {
  'of another user': tokenFor('bob'),
  'that has ended': tokenFor('alice', endsIn(-60)),
  'of another secret': `${tokenFor('alice')}x`,
  'that is none': 'garbage',
};

test('a token that is not valid for this user extends nothing', async () => {
  const options = { reconnection: false };
  const alice = await connect(server, 'alice', { claims: endsIn(3), options });
  const gone = once(alice.socket, 'disconnect');
  for (const [which, token] of Object.entries(REFUSED)) {
    const answer = await alice.ask('auth:refresh', { token });
    assert.equal(answer.success, false, which);
    assert.equal(typeof answer.code, 'string', which);
  }
  await gone;
  assertHas(await alice.hear('session:closing'), { reason: 'token_expired' });
});
