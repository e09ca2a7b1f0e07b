// Who may connect, and in which words the others are refused: web apps compare these strings.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';

import jwt from 'jsonwebtoken';

import { connected, open2, open4 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startServer } from './support/server.mjs';
import { secondsFromNow, tokenFor } from './support/tokens.mjs';

const server = await startServer();
const choosy = await startServer({ JWT_ISSUER: 'https://id.example.org', JWT_AUDIENCE: 'stoa' });
const choice = { iss: 'https://id.example.org', aud: 'stoa' };

const claims = { userId: 'alice' };
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const [header, , signature] = tokenFor('alice').split('.');

const REFUSALS = [
  { token: undefined, message: 'No token provided' },
  { token: tokenFor('alice', { exp: secondsFromNow(-3600) }), message: 'jwt expired' },
  { token: 'garbage', message: 'jwt malformed' },
  { token: jwt.sign(claims, 'another secret of at least 32 bytes!'), message: 'invalid signature' },
  { token: `${header}.!.${signature}`, message: 'invalid token' },
  { token: tokenFor('alice', { nbf: secondsFromNow(3600) }), message: 'jwt not active' },
  {
    token: jwt.sign(claims, '', { algorithm: 'none' }),
    message: 'invalid algorithm',
    why: 'no signature at all',
  },
  {
    token: jwt.sign(claims, privateKey, { algorithm: 'RS256' }),
    message: 'invalid algorithm',
    why: 'an RSA signature',
  },
  {
    on: choosy,
    token: tokenFor('alice', { ...choice, aud: 'agora' }),
    message: 'jwt audience invalid. expected: stoa',
  },
  {
    on: choosy,
    token: tokenFor('alice', { ...choice, iss: 'https://example.com' }),
    message: 'jwt issuer invalid. expected: https://id.example.org',
  },
];

for (const { on = server, token, message, why } of REFUSALS) {
  const expected = `Authentication error: ${message}`;
  const name = why ? `“${expected}” (${why})` : `“${expected}”`;

  for (const transports of [['polling'], ['websocket']]) {
    test(`the current client hears ${name} over ${transports}`, async () => {
      const socket = open4(on, { auth: token === undefined ? {} : { token }, transports });
      const [error] = await once(socket, 'connect_error');
      assert.equal(error.message, expected);
      assert.equal(socket.active, false, 'a refusal is not retried by the client itself');
    });

    test(`the 2.x client hears ${name} over ${transports}`, async () => {
      const [error] = await once(open2(on, { token, transports }), 'error');
      assert.equal(error, expected);
    });
  }
}

const token = tokenFor('alice');
const ADMITTED = {
  'auth.token': { auth: { token } },
  'auth.token with “Bearer ”': { auth: { token: `Bearer ${token}` } },
  'an Authorization header': { extraHeaders: { authorization: `Bearer ${token}` } },
  'the cookie token': { extraHeaders: { cookie: `a=b; token=${token}` } },
  'the cookie accessToken': { extraHeaders: { cookie: `accessToken=${token}; a=b` } },
  'auth.token before a header': {
    auth: { token },
    extraHeaders: { authorization: 'Bearer garbage', cookie: 'token=garbage' },
  },
  'a header before a cookie': {
    extraHeaders: { authorization: `Bearer ${token}`, cookie: 'token=garbage' },
  },
};

for (const [name, options] of Object.entries(ADMITTED)) {
  test(`a token is taken from ${name}`, async () => {
    const alice = await connected(server, 'alice', open4(server, options));
    assert.equal((await alice.ask('join-user-room', 'alice')).success, true);
  });
}

for (const claim of ['userId', 'sub', 'id', '_id']) {
  test(`the user is who the claim ${claim} names`, async () => {
    const named = tokenFor(undefined, { [claim]: 'zoe' });
    const zoe = await connected(server, 'zoe', open4(server, { auth: { token: named } }));
    assert.equal((await zoe.ask('join-user-room', 'zoe')).room, 'user-zoe');
  });
}

test('a token in the query string is not taken', async () => {
  const [error] = await once(open4(server, { query: { token } }), 'connect_error');
  assert.equal(error.message, 'Authentication error: No token provided');
});

test('the token that issuer and audience ask for is taken', async () => {
  const options = { auth: { token: tokenFor('alice', choice) } };
  await connected(choosy, 'alice', open4(choosy, options));
});

for (const transport of ['polling', 'websocket']) {
  const from = (origin) => ({ auth: { token }, transports: [transport], extraHeaders: { origin } });

  test(`pages of both kinds of apps connect over ${transport}`, async () => {
    for (const origin of ['http://localhost:5175', 'http://localhost:3000']) {
      await connected(server, 'alice', open4(server, from(origin)));
    }
  });

  test(`a page of another origin is refused over ${transport}`, async () => {
    const socket = open4(server, { ...from('https://evil.example'), reconnection: false });
    await once(socket, 'connect_error');
    assert.equal(socket.connected, false);
  });
}
