// People who register and sign in here, as an app in a browser does it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, connected, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';

const PASSWORD = 'correct horse battery';

const server = await startServer({ ACCOUNTS: 'on', STOA_ACCOUNTS__ARGON2__MEMORY_KIB: '64' });

/** As a browser without credentials, or with a token. */
async function post(path, body, token) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await server.post(`/api/auth/${path}`, body, headers);
  const text = await response.text();
  return { status: response.status, body: text ? JSON.parse(text) : null };
}

async function signedIn(path, body) {
  const { status, body: answer } = await post(path, body);
  assert(status < 300, JSON.stringify(answer));
  return answer;
}

const register = (email, more = {}) =>
  signedIn('register', { email, password: PASSWORD, firstName: 'Ada', lastName: 'Lovelace', ...more });
const login = (email) => signedIn('login', { email, password: PASSWORD });

function tab({ user, accessToken }) {
  return connected(server, user.id, open4(server, { auth: { token: accessToken } }));
}

test('who registers with a code is told of in all tabs of its owner', async () => {
  const ada = await register('ada@example.org');
  const tabs = await Promise.all([tab(ada), tab(await login('ada@example.org'))]);
  const { referralCode } = ada.user;
  const bob = await register('bob@example.org', { firstName: 'Bob', referralCode });
  for (const told of tabs) {
    assertHas(await told.hear('referral-signup'), {
      referredUserId: bob.user.id,
      name: 'Bob Lovelace',
    });
  }
});

test('a socket lives on with the tokens of a refresh', async () => {
  const cat = await register('cat@example.org');
  const socket = await tab(cat);
  const next = await signedIn('refresh', { refreshToken: cat.refreshToken });
  assertHas(await socket.ask('auth:refresh', { token: next.accessToken }), { success: true });
  assertHas(await socket.ask('join-user-room', cat.user.id), { success: true });
});

test('a refresh token that is used again closes the sockets of its sign-in within a second', async () => {
  const dan = await register('dan@example.org');
  const other = await tab(await login('dan@example.org'));
  const socket = await tab(dan);
  await signedIn('refresh', { refreshToken: dan.refreshToken });
  const gone = once(socket.socket, 'disconnect');
  const refused = once(socket.socket, 'connect_error');
  const began = Date.now();
  const again = await post('refresh', { refreshToken: dan.refreshToken });
  assert.equal(again.body.code, 'refresh_token_reused');
  await gone;
  assert(Date.now() - began < 1000, 'it took its time');
  assertHas(await socket.hear('session:closing'), { reason: 'revoked', retryable: false });
  const [error] = await refused;
  assert.equal(error.message, 'Authentication error: token revoked');
  assert.deepEqual(await other.heard(), []);
});

test('a new password closes the other tabs and leaves this one', async () => {
  const eve = await register('eve@example.org');
  const [own, other] = [await tab(eve), await tab(await login('eve@example.org'))];
  const gone = once(other.socket, 'disconnect');
  const change = { oldPassword: PASSWORD, newPassword: 'a staple of a horse' };
  const { status } = await post('password', change, eve.accessToken);
  assert.equal(status, 204);
  await gone;
  assertHas(await other.hear('session:closing'), { reason: 'revoked', retryable: false });
  assert.deepEqual(await own.heard(), []);
  await post('logout', {}, eve.accessToken);
  assertHas(await own.hear('session:closing'), { reason: 'revoked' });
});
