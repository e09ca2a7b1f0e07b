// The protocol of the official Admin UI, as its page speaks it with the official client.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

/** Of "changeit". */
const HASH = '$2b$04$oPF3IuoJlBRcqjQ7bJRI0.FzLhuXhSCHC5yW7K1vhEBm0CILVdSPm';
const ORIGIN = 'https://admin.socket.io';
const server = await startServer({
  ADMIN_UI_USER: 'admin',
  ADMIN_UI_HASH: HASH,
  CLIENT_URL: ORIGIN,
});
const CREDENTIALS = { username: 'admin', password: 'changeit' };

/** As the page opens it. */
function openAdmin(auth, more = {}) {
  const extraHeaders = { Origin: ORIGIN };
  return open4(server, { auth, extraHeaders, withCredentials: true, ...more }, '/admin');
}

async function signIn(more) {
  const operator = await connected(server, 'operator', openAdmin(CREDENTIALS, more));
  const session = await operator.hear('session');
  return { operator, session };
}

for (const transports of [['polling', 'websocket'], ['polling'], ['websocket']]) {
  test(`an operator signs in by ${transports} and comes back without the password`, async () => {
    const { operator, session } = await signIn({ transports });
    const { supportedFeatures } = await operator.hear('config');
    assert(supportedFeatures.includes('ALL_EVENTS'), 'in development');
    await operator.hear('all_sockets', (sockets) => sockets.some(({ nsp }) => nsp === '/admin'));
    const stats = await operator.hear('server_stats');
    assert.equal(typeof stats.uptime, 'number');
    const again = await connected(server, 'operator', openAdmin({ sessionId: session }, { transports }));
    await again.hear('server_stats');
  });
}

test('a wrong password is refused in the words by which the page asks again', async () => {
  for (const auth of [{ ...CREDENTIALS, password: 'x' }, { sessionId: 'x' }, { token: tokenFor('a') }]) {
    const [error] = await once(openAdmin(auth, { reconnection: false }), 'connect_error');
    assert.equal(error.message, 'invalid credentials');
  }
});

test('an operator sees who comes, sends to them, and puts them out', async () => {
  const { operator } = await signIn();
  const ann = await connect(server, 'ann');
  const socket = await operator.hear('socket_connected', ({ data }) => data.userId === 'ann');
  assert.equal(socket.id, ann.socket.id);
  assert.deepEqual(new Set(socket.rooms), new Set(['user-ann', ann.socket.id]));

  operator.socket.emit('emit', '/', socket.id, 'hello', { from: 'an operator' });
  assert.deepEqual(await ann.hear('hello'), { from: 'an operator' });
  operator.socket.emit('join', '/', 'lobby', socket.id);
  await operator.hears(
    (events) => events.some(([name, , room, id]) => name === 'room_joined' && room === 'lobby' && id === socket.id),
    'who enters',
  );
  operator.socket.emit('emit', '/', 'lobby', 'to.lobby', 1);
  await ann.hear('to.lobby');

  const left = once(ann.socket, 'disconnect');
  operator.socket.emit('_disconnect', '/', false, socket.id);
  await left;
  await operator.hears(
    (events) => events.some(([name, , id]) => name === 'socket_disconnected' && id === socket.id),
    'who goes',
  );
});
