// The official clients of all these years, and how each of them differs for who uses it.

import io4_8 from 'socket.io-client';
import io1_7 from 'socket.io-client-1.7';
import io2_5 from 'socket.io-client-2';
import io2_0 from 'socket.io-client-2.0';
import io3_1 from 'socket.io-client-3.1';
import io4_0 from 'socket.io-client-4.0';
import io4_5 from 'socket.io-client-4.5';

import { OWN, connected, track } from './client.mjs';
import { tokenFor } from './tokens.mjs';

/** A token in the option of its own that clients from 3.0 on have. */
const AUTH = { name: 'auth', options: (token) => ({ auth: { token } }) };
/** A token in what older clients can say, which current ones still can. */
const OLDER = [
  { name: 'a header', options: (token) => ({ extraHeaders: { Authorization: `Bearer ${token}` } }) },
  { name: 'a cookie', options: (token) => ({ extraHeaders: { Cookie: `a=b; token=${token}` } }) },
  { name: 'the query', options: (token) => ({ query: { token } }) },
];

const current = (version, io) => ({ version, io, says: [AUTH, ...OLDER], refusal: 'connect_error' });
const older = (version, io) => ({ version, io, says: OLDER, refusal: 'error' });

const VERSIONS = [
  current('4.8', io4_8),
  current('4.5', io4_5),
  current('4.0', io4_0),
  current('3.1', io3_1),
  older('2.5', io2_5),
  older('2.0', io2_0),
  older('1.7', io1_7),
];
const TRANSPORTS = [
  { over: 'polling', options: { transports: ['polling'] } },
  { over: 'websocket', options: { transports: ['websocket'] } },
  { over: 'its default transports', options: {} },
];

/** Every client over every transport. */
export const WAYS = VERSIONS.flatMap((version) =>
  TRANSPORTS.map(({ over, options }) => new Way(version, over, options)),
);

/** One client over one choice of transports. */
function Way({ version, io, says, refusal }, over, transports) {
  this.name = `${version} over ${over}`;
  /** Whether it can't be trusted with letters beyond ASCII. */
  this.isPlain = version === '1.7' && over !== 'websocket';
  /** How a token may be said, the way that people take first. */
  this.says = says;
  /** The event that tells of a refusal. */
  this.refusal = refusal;
  /** A socket of its own connection. */
  this.open = (server, options, namespace = '/') =>
    track(io(server.url + namespace, { ...OWN, ...transports, ...options }));
  /** A user who is connected. */
  this.connect = (server, userId, options = {}, claims = {}) => {
    const token = tokenFor(userId, claims);
    const socket = this.open(server, { ...says[0].options(token), ...options });
    return connected(server, userId, socket);
  };
}
