// Who may connect, and in which words the others are refused: web apps compare these strings.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { promisify } from 'node:util';

import cookieParser from 'cookie-parser';
import cookieSignature from 'cookie-signature';
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

/** What Express's `res.cookie(name, value, { signed: true })` sets, as a browser sends it back. */
const signedCookie = (name, value, secret) =>
  `${name}=${encodeURIComponent(`s:${cookieSignature.sign(value, secret)}`)}`;

test('a cookie that cookie-parser opens is opened', async () => {
  const secret = 'keyboard cat/+=%';
  const express = await startServer({ AUTH_COOKIE_SECRET: secret, AUTH_COOKIES: 'session,token' });
  const parse = promisify(cookieParser(secret));
  for (const [cookie, user] of [
    [signedCookie('session', token, secret), 'alice'],
    [`theme=dark; ${signedCookie('token', token, secret)}`, 'alice'],
    [`${signedCookie('session', token, 'another secret')}; token=${tokenFor('bob')}`, 'bob'],
    [`session="${token}"`, 'alice'],
  ]) {
    const request = { headers: { cookie } };
    await parse(request, {});
    const seen = { ...request.cookies, ...request.signedCookies };
    assert.equal(jwt.decode(seen.session || seen.token).userId, user, 'as cookie-parser reads it');
    for (const transports of [['polling'], ['websocket']]) {
      const options = { transports, extraHeaders: { cookie } };
      const client = await connected(express, user, open4(express, options));
      assert.equal((await client.ask('join-user-room', user)).success, true);
    }
    const path = `/api/presence/${user}`;
    const response = await fetch(express.url + path, { headers: { cookie } });
    assert.equal(response.status, 200);
  }
});

test('a token of sixteen kilobytes is taken by every way', async () => {
  const long = tokenFor('alice', { permissions: 'x'.repeat(12_000) });
  assert.ok(long.length > 16_000 && long.length <= 16_384, `${long.length}`);
  const named = await startServer({ AUTH_QUERY: 'token' });
  for (const transports of [['polling'], ['websocket']]) {
    for (const options of [
      { auth: { token: long } },
      { extraHeaders: { authorization: `Bearer ${long}` } },
      { extraHeaders: { cookie: `token=${long}` } },
      { query: { token: long } },
    ]) {
      await connected(named, 'alice', open4(named, { ...options, transports }));
    }
    await connected(named, 'alice', open2(named, { token: long, transports }));
  }
});

for (const algorithm of ['HS256', 'HS384', 'HS512']) {
  test(`a short secret is believed for ${algorithm} where that is wanted`, async () => {
    const short = await startServer({ JWT_SECRET: 'shhhh', JWT_SHORT_SECRET: 'accept' });
    const made = jwt.sign({ userId: 'alice' }, 'shhhh', { algorithm, allowInsecureKeySizes: true });
    await connected(short, 'alice', open4(short, { auth: { token: made } }));
  });
}
