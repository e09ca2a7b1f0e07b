// Many unmodified clients behind a network that cuts, stalls and half-closes, and a server that is killed
// and started again: whoever was recovered has heard all that was theirs, once and in its order.
// `COMEBACK_CLIENTS` and `COMEBACK_EVENTS` make it long (`make drill`), `COMEBACK_SEED` repeats a run.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { io as io48 } from 'socket.io-client';
import { io as io45 } from 'socket.io-client-4.5';
import { io as io46 } from 'socket.io-client-4.6';
import { io as io47 } from 'socket.io-client-4.7';

import { cuttingProxy } from './support/cutting.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const CLIENTS = Number(process.env.COMEBACK_CLIENTS ?? 12);
const EVENTS = Number(process.env.COMEBACK_EVENTS ?? 600);
const KILLS = Number(process.env.COMEBACK_KILLS ?? 3);
const SEED = Number(process.env.COMEBACK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROOMS = Array.from({ length: 6 }, (_, at) => `conversation:c${at}`);
/** Those that know of recovery. */
const VERSIONS = Object.entries({ 4.6: io46, 4.7: io47, 4.8: io48 });
const USERS = Array.from({ length: Math.ceil(CLIENTS / 2) }, (_, at) => `user${at}`);

/** Mulberry32. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = generator(SEED);
const pick = (list) => list[Math.floor(random() * list.length)];
const pause = (ms) => new Promise((passed) => setTimeout(passed, ms));

/** Whatever is begun or done gets the next number. */
let now = 0;
/** What was sent: to whom, from when to when; without an end it is not known whether it was kept. */
const sent = [];

/** One client: what it heard, in chains of connections that were recovered. */
class Comer {
  chains = [];
  recovered = 0;
  lost = 0;

  constructor(url, userId, at) {
    this.userId = userId;
    this.rooms = [ROOMS[at % ROOMS.length], ROOMS[(at * 5 + 1) % ROOMS.length]];
    const transports = [['websocket'], ['polling'], ['polling', 'websocket']][at % 3];
    const [version, connect] = VERSIONS[Math.floor(at / 3) % VERSIONS.length];
    this.name = `${userId} (${version}) over ${transports}`;
    this.socket = connect(url, {
      transports,
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      timeout: 2_000,
      auth: { token: tokenFor(userId) },
    });
    this.socket.on('connect', () => this.#begin());
    this.socket.on('connect_error', ({ message }) => (this.error = message));
    after(() => this.socket.close());
    this.socket.on('news', ({ n }) => this.#chain?.heard.push(n));
  }

  get #chain() {
    return this.chains.at(-1);
  }

  #begin() {
    if (this.socket.recovered) {
      this.recovered += 1;
      return;
    }
    if (this.#chain) this.lost += 1;
    const chain = { from: new Map([['user', ++now]]), heard: [] };
    this.chains.push(chain);
    for (const room of new Set(this.rooms)) this.#join(chain, room);
  }

  /** Joins, again as long as it was not answered. */
  #join(chain, room) {
    if (chain !== this.#chain) return;
    const id = room.slice('conversation:'.length);
    this.socket.timeout(3_000).emit('conversation:join', id, (error, answer) => {
      if (!error && answer.success) chain.from.set(room, ++now);
      else if (chain === this.#chain) setTimeout(() => this.#join(chain, room), 50);
    });
  }

  get isSettled() {
    return this.socket.connected && this.#chain.from.size === 1 + new Set(this.rooms).size;
  }

  toString() {
    const { connected, io } = this.socket;
    const entered = [...(this.#chain?.from.keys() ?? [])];
    const { engine } = io;
    const state = [io._readyState, io._reconnecting, engine?.readyState, engine?.transport?.name, engine?.id];
    return JSON.stringify([this.name, { connected, entered }, state, this.error]);
  }

  /** What an event is to a chain: `must`, `may` or `no`. */
  #due({ to, from, upto }, chain) {
    const hears = [];
    const mine = [['user', `user-${this.userId}`], ...[...new Set(this.rooms)].map((it) => [it, it])];
    for (const [key, room] of mine) {
      if (to === 'everyone' || to.rooms.includes(room)) hears.push(chain.from.get(key));
    }
    if (hears.length === 0 || this.#isExcept(to)) return 'no';
    const since = hears.filter((joined) => joined !== undefined && from > joined);
    return since.length > 0 && upto !== undefined ? 'must' : 'may';
  }

  #isExcept(to) {
    return (to.except ?? []).some((room) => room === `user-${this.userId}`);
  }

  /** What is wrong with what it heard. */
  faults() {
    const faults = [];
    this.chains.forEach((chain, at) => {
      const isLast = at === this.chains.length - 1;
      const last = chain.heard.at(-1) ?? -1;
      const heard = new Set(chain.heard);
      if (heard.size !== chain.heard.length) faults.push(`twice: ${twice(chain.heard)}`);
      const order = chain.heard.findIndex((n, i) => i > 0 && n <= chain.heard[i - 1]);
      if (order > 0) faults.push(`out of order: ${chain.heard.slice(order - 1, order + 1)}`);
      sent.forEach((event, n) => {
        const due = this.#due(event, chain);
        if (due === 'no' && heard.has(n)) faults.push(`not for them: ${n}`);
        // What came after the last that it heard may have been lost with a session that was lost.
        if (due === 'must' && !heard.has(n) && (isLast || n < last)) faults.push(`missing: ${n}`);
      });
    });
    return faults.map((fault) => `${this.name}: ${fault}`);
  }
}

function twice(list) {
  const seen = new Set();
  return list.filter((n) => seen.has(n) || !seen.add(n)).slice(0, 5);
}

function target() {
  const way = random();
  if (way < 0.5) return { rooms: [pick(ROOMS)] };
  if (way < 0.65) return { rooms: [pick(ROOMS), pick(ROOMS), `user-${pick(USERS)}`] };
  if (way < 0.8) return { rooms: [`user-${pick(USERS)}`] };
  if (way < 0.95) return { rooms: [pick(ROOMS)], except: [`user-${pick(USERS)}`] };
  return 'everyone';
}

test(`${CLIENTS} clients come back as if nothing had been (seed ${SEED})`, async () => {
  // A client whose websocket ends between the answer to its probe and its last poll asks for nothing
  // any more until it misses a ping.
  const beats = { PING_INTERVAL: '2s', PING_TIMEOUT: '2s' };
  const env = { LIMITS: 'off', PRESENCE_AUDIENCE: 'off', ROOM_POLICY: 'open', ...beats };
  const server = await startServer(env);
  const proxy = await cuttingProxy(server, { random });
  const comers = Array.from({ length: CLIENTS }, (_, at) => new Comer(proxy.url, USERS[at % USERS.length], at));
  // One that knows nothing of recovery is not disturbed by it.
  const older = io45(server.url, { transports: ['websocket'], auth: { token: tokenFor('older') } });
  after(() => older.close());
  const olders = [];
  older.on('news', ({ n }) => olders.push(n));
  const settled = async () => {
    const end = Date.now() + 30_000;
    while (!comers.every((comer) => comer.isSettled)) {
      const outside = comers.filter((comer) => !comer.isSettled).map(String);
      assert(Date.now() < end, `they did not come in: ${outside}`);
      await pause(20);
    }
  };
  await settled();
  proxy.wild = true;
  proxy.cutAll();
  const kills = new Set(Array.from({ length: KILLS }, (_, at) => Math.floor(((at + 1) * EVENTS) / (KILLS + 1))));
  for (let n = 0; n < EVENTS; n += 1) {
    if (kills.has(n)) {
      await server.kill();
      await server.start();
    }
    const event = { to: target(), from: ++now, upto: undefined };
    sent.push(event);
    await server.emit(event.to, 'news', { n });
    event.upto = ++now;
    if (n % 8 === 0) await pause(20 + random() * 40);
  }
  proxy.wild = false;
  proxy.cutAll();
  await settled();
  // Whatever is on its way comes before this.
  sent.push({ to: 'everyone', from: ++now, upto: now });
  const last = EVENTS;
  await server.emit('everyone', 'news', { n: last });
  const end = Date.now() + 30_000;
  while (!comers.every((comer) => comer.chains.at(-1).heard.includes(last)) && Date.now() < end) await pause(20);
  const total = (of) => comers.reduce((sum, comer) => sum + of(comer), 0);
  const figures = { cuts: proxy.cuts, recovered: total((it) => it.recovered), lost: total((it) => it.lost) };
  console.log(JSON.stringify({ seed: SEED, ...figures, heard: total((it) => it.chains.flatMap((chain) => chain.heard).length) }));
  const faults = comers.flatMap((comer) => comer.faults());
  assert.deepEqual(faults.slice(0, 20), [], `${faults.length} faults, seed ${SEED}`);
  assert(figures.recovered > CLIENTS, JSON.stringify(figures));
  assert(figures.lost < figures.recovered, JSON.stringify(figures));
  assert(olders.length > 0 && olders.every((n, at) => at === 0 || n > olders[at - 1]), 'the older client');
});
