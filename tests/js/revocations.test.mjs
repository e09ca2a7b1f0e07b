// Who is revoked, blocked or disconnected is out, as an app in a browser sees it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connect, connect2, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { secondsFromNow, tokenFor } from './support/tokens.mjs';

const REVOKED = 'Authentication error: token revoked';

const server = await startServer();

/** As the backend service; gives the answer's body. */
async function call(path, body = {}) {
  const response = await server.post(path, body);
  const text = await response.text();
  assert(response.ok, text);
  return text ? JSON.parse(text) : null;
}

const TRANSPORTS = {
  websocket: { transports: ['websocket'] },
  polling: { transports: ['polling'] },
  'polling, then websocket': {},
};

for (const [name, options] of Object.entries(TRANSPORTS)) {
  test(`a revoked user is told, closed, and refused when the client comes back (${name})`, async () => {
    const user = `alice-${Object.keys(TRANSPORTS).indexOf(name)}`;
    const alice = await connect(server, user, { claims: { iat: secondsFromNow(-5) }, options });
    const bob = await connect(server, 'bob', { options });
    const gone = once(alice.socket, 'disconnect');
    const refused = once(alice.socket, 'connect_error');
    const began = Date.now();
    await call('/api/auth/revocations', { userId: user });
    const [reason] = await gone;
    assert(Date.now() - began < 2000, 'it took its time');
    assertHas(await alice.hear('session:closing'), { reason: 'revoked', retryable: false });
    assert.equal(reason, 'transport close', 'the client comes back by itself');
    const [error] = await refused;
    assert.equal(error.message, REVOKED);
    // Another user notices nothing, and a token that was made since lets her in.
    assert.deepEqual(await bob.heard(), []);
    const { token } = await call('/api/auth/tokens', { userId: user });
    const again = await connected(server, user, open4(server, { ...options, auth: { token } }));
    assertHas(await again.ask('join-user-room', user), { success: true });
  });
}

test('one token is revoked by its id: the tabs with another stay', async () => {
  const claims = (jti) => ({ jti, iat: secondsFromNow(-5) });
  const lost = await connect(server, 'carol', { claims: claims('lost') });
  const other = await connect(server, 'carol', { claims: claims('other') });
  const chat = await connect(server, 'carol', { claims: claims('lost'), namespace: '/chat' });
  const gone = [lost, chat].map(({ socket }) => once(socket, 'disconnect'));
  await call('/api/auth/revocations', { jti: 'lost' });
  await Promise.all(gone);
  for (const tab of [lost, chat]) {
    assertHas(await tab.hear('session:closing'), { reason: 'revoked', retryable: false });
  }
  assert.deepEqual(await other.heard(), []);
});

test('a blocked user is out with the 2.x client, too, until the block is over', async () => {
  const dave = await connect2(server, 'dave');
  const gone = once(dave.socket, 'disconnect');
  await call('/api/users/dave/block', { until: new Date(Date.now() + 4000).toISOString() });
  await gone;
  assertHas(await dave.hear('session:closing'), { reason: 'revoked', retryable: false });
  const [message] = await once(dave.socket, 'error');
  assert.equal(message.message ?? message, REVOKED);
  // The same token is good again when the block has ended by itself.
  const url = `${server.url}/api/users/dave`;
  const headers = { authorization: `Bearer ${tokenFor('dave')}` };
  const problem = await (await fetch(url, { headers })).json();
  assertHas(problem, { status: 403, code: 'user_blocked' });
  for (;;) {
    if ((await fetch(url, { headers })).status === 200) break;
    await new Promise((next) => setTimeout(next, 100));
  }
  const again = await connect2(server, 'dave');
  assertHas(await again.ask('join-user-room', 'dave'), { success: true });
});

test('a disconnected user is told that they may come back, and does', async () => {
  const erin = await connect(server, 'erin');
  const back = new Promise((resolve) => erin.socket.io.once('reconnect', resolve));
  assert.deepEqual(await call('/api/users/erin/disconnect'), { disconnected: 1 });
  assertHas(await erin.hear('session:closing'), { reason: 'disconnected', retryable: true });
  await back;
});
