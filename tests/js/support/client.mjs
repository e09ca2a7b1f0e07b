// A socket of the official client with everything it has heard, in order.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterEach } from 'node:test';

import { io } from 'socket.io-client';
import io2 from 'socket.io-client-2';

import { once, within } from './deadline.mjs';
import { tokenFor } from './tokens.mjs';

const FENCE = 'test:fence';
const PRESENCE = new Set(['user:online', 'user:offline', 'user-status-change']);

const open = new Set();
afterEach(() => {
  for (const socket of open) socket.close();
  open.clear();
});

/** Options under which the client reconnects soon, and never shares a connection with another. */
export const OWN = { forceNew: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };

/** Opens a socket with the current client; `path` is `/` and its namespace. */
export function open4(server, options = {}, namespace = '/') {
  return track(io(server.url + namespace, { ...OWN, ...options }));
}

/** Opens a socket with the 2.x client, which sends a token in a header only. */
export function open2(server, { token, ...options } = {}, namespace = '/') {
  const extraHeaders = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const transportOptions = { polling: { extraHeaders }, websocket: { extraHeaders } };
  return track(io2(server.url + namespace, { ...OWN, transportOptions, ...options }));
}

/** Closes the socket after the test that opened it. */
export function track(socket) {
  open.add(socket);
  return socket;
}

/** A user connected with the current client; `claims` adds to the token. */
export async function connect(server, userId, { claims, options, namespace } = {}) {
  const token = tokenFor(userId, claims);
  return connected(server, userId, open4(server, { auth: { token }, ...options }, namespace));
}

/** The same with the 2.x client. */
export async function connect2(server, userId, { claims, options, namespace } = {}) {
  const token = tokenFor(userId, claims);
  return connected(server, userId, open2(server, { token, ...options }, namespace));
}

/** Waits until a socket is connected; a refusal fails at once with its message. */
export async function connected(server, userId, socket) {
  const client = new Client(server, userId, socket);
  const refused = new Promise((_, reject) => {
    for (const event of ['connect_error', 'error']) {
      socket.once(event, (error) => reject(new Error(`${userId}: ${error.message ?? error}`)));
    }
  });
  await Promise.race([once(socket, 'connect'), refused]);
  return client;
}

export class Client {
  #server;
  #events = [];
  #waiting = new Set();

  constructor(server, userId, socket) {
    this.#server = server;
    this.userId = userId;
    this.socket = socket;
    if (socket.onAny) {
      socket.onAny((...event) => this.#hear(event));
    } else {
      // The 2.x client has no catch-all listener; every event passes through here.
      const { onevent } = socket;
      socket.onevent = (packet) => {
        this.#hear(packet.data);
        onevent.call(socket, packet);
      };
    }
  }

  #hear(event) {
    // A kept event carries its offset as one more string (connection state recovery).
    const offset = event.length === 3 && typeof event[2] === 'string';
    this.#events.push(offset ? event.slice(0, 2) : [...event]);
    for (const look of this.#waiting) look();
  }

  /** Emits and gives the acknowledgement. */
  ask(event, ...args) {
    const answered = new Promise((resolve) => this.socket.emit(event, ...args, resolve));
    return within(answered, () => `the acknowledgement of "${event}"`);
  }

  /** Waits until `test` holds for all that was heard so far, presence included. */
  async hears(test, what) {
    const holds = new Promise((resolve) => {
      const look = () => {
        if (!test(this.#events)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
    const latest = () => JSON.stringify(this.#events.slice(-20));
    await within(holds, () => `${what}; the last that ${this.userId} heard is ${latest()}`);
  }

  /** Waits for the first event of this name (whose payload passes `test`) and gives its payload. */
  async hear(name, test = () => true) {
    let found;
    const find = (events) =>
      (found = events.find(([heard, data]) => heard === name && test(data))) !== undefined;
    await this.hears(find, `"${name}"`);
    return found[1];
  }

  /**
   * All that this socket has heard since the last call, as `[name, payload]`, and proof that it was
   * all: a fence is emitted to this user and awaited. Presence is told by `presence: true` only,
   * since users of other tests come and go.
   */
  async heard({ presence = false } = {}) {
    const id = randomUUID();
    await this.#server.emit({ user: this.userId }, FENCE, { id });
    await this.hear(FENCE, (data) => data.id === id);
    const end = this.#events.findIndex(([name, data]) => name === FENCE && data.id === id);
    return this.#events
      .splice(0, end + 1)
      .filter(([name]) => name !== FENCE && (presence || !PRESENCE.has(name)));
  }

  /** Closes the socket from this side. */
  close() {
    this.socket.close();
  }
}

/** Asserts a refusal: `success: false`, the code, and a sentence that says what was wrong. */
export function assertRefused(answer, code) {
  assert.equal(answer.success, false);
  assert.equal(answer.code, code);
  assert.match(answer.error, /^\p{L}.{8,}/u);
}

/** Asserts that an object has at least these fields: the contract may add others. */
export function assertHas(actual, expected) {
  const known = Object.fromEntries(Object.keys(expected).map((key) => [key, actual?.[key]]));
  assert.deepEqual(known, expected);
}
