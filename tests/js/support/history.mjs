// What was sent to whom and when, and what many clients heard of it: whoever was recovered has heard all
// that was theirs, once and in one order.

import { after } from 'node:test';

import { io as io48 } from 'socket.io-client';
import { io as io46 } from 'socket.io-client-4.6';
import { io as io47 } from 'socket.io-client-4.7';

import { tokenFor } from './tokens.mjs';

/** Those that know of recovery. */
const VERSIONS = Object.entries({ 4.6: io46, 4.7: io47, 4.8: io48 });

export const pause = (ms) => new Promise((passed) => setTimeout(passed, ms));

/** Numbers from 0 to 1, the same ones for a seed: Mulberry32. */
export function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class History {
  /** What was sent: to whom, from when to when; without an end it is not known whether it was kept. */
  sent = [];
  /** Who was put out of a room, as `user room`, from when to when. */
  #removed = new Map();
  #now = 0;

  /** Whatever is begun or done gets the next number. */
  next() {
    return ++this.#now;
  }

  /** Something is sent; its number. */
  begin(to) {
    return this.sent.push({ to, from: this.next(), upto: undefined }) - 1;
  }

  /** It is kept. */
  end(n) {
    this.sent[n].upto = this.next();
  }

  /** Somebody is put out of a room while `remove` runs. */
  async remove(user, room, remove) {
    const removal = { from: this.next(), upto: undefined };
    this.#removed.set(`${user} ${room}`, removal);
    await remove();
    removal.upto = this.next();
  }

  isRemoved(user, room) {
    return this.#removed.has(`${user} ${room}`);
  }

  /** What an event of a room is to somebody whose chain entered it then: `must`, `may` or `no`. */
  due({ from, upto }, user, room, entered) {
    const removal = this.#removed.get(`${user} ${room}`);
    if (removal?.upto !== undefined && from > removal.upto) return 'no';
    if (removal || upto === undefined) return 'may';
    return entered !== undefined && from > entered ? 'must' : 'may';
  }

  /** What is wrong with the order of what was heard: it is one in each room, and that of whoever sent it. */
  orderFaults(chains) {
    const faults = [];
    for (const { heard, name } of chains) {
      let latest = -1;
      for (const n of heard) {
        const { from, upto } = this.sent[n];
        if (upto !== undefined && latest >= 0 && upto < this.sent[latest].from) {
          faults.push(`${name}: out of order: ${latest}, ${n}`);
        }
        if (latest < 0 || from > this.sent[latest].from) latest = n;
      }
    }
    const roomsOf = ({ to }) => (to === 'everyone' ? [to] : to.rooms);
    for (const room of new Set(this.sent.flatMap(roomsOf))) {
      const isIn = (n) => roomsOf(this.sent[n]).includes(room);
      const circle = inCircle(chains.map(({ heard }) => heard.filter(isIn)));
      if (circle.length > 0) faults.push(`in another order by others in ${room}: ${circle.slice(0, 10)}`);
    }
    return faults;
  }
}

/** What no order has that all lists are in. */
function inCircle(lists) {
  const [before, after_] = [new Map(), new Map()];
  for (const list of lists) {
    list.forEach((n, at) => {
      if (!before.has(n)) before.set(n, 0);
      if (at === 0) return;
      const next = after_.get(list[at - 1]) ?? new Set();
      after_.set(list[at - 1], next);
      if (!next.has(n)) before.set(n, before.get(n) + 1);
      next.add(n);
    });
  }
  const free = [...before].filter(([, many]) => many === 0).map(([n]) => n);
  for (let n = free.pop(); n !== undefined; n = free.pop()) {
    before.delete(n);
    for (const next of after_.get(n) ?? []) {
      before.set(next, before.get(next) - 1);
      if (before.get(next) === 0) free.push(next);
    }
  }
  return [...before.keys()];
}

/** One client: what it heard, in chains of connections that were recovered. */
export class Comer {
  chains = [];
  recovered = 0;
  lost = 0;
  /** What became of its connections, and when. */
  log = [];
  #history;

  /** The `at`th client, of this user, who enters these rooms of conversations. */
  constructor(history, url, userId, rooms, at) {
    this.#history = history;
    this.userId = userId;
    this.rooms = [...new Set(rooms)];
    this.transports = [['websocket'], ['polling'], ['polling', 'websocket']][at % 3];
    const [version, connect] = VERSIONS[Math.floor(at / 3) % VERSIONS.length];
    this.name = `${userId} (${version}) over ${this.transports}`;
    this.socket = connect(url, {
      transports: this.transports,
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
      timeout: 2_000,
      auth: { token: tokenFor(userId) },
    });
    this.socket.on('connect', () => this.#begin());
    this.socket.on('connect_error', ({ message }) => (this.error = message));
    this.socket.on('disconnect', (reason) => this.#note(reason));
    after(() => this.socket.close());
    this.socket.on('news', ({ n }) => this.#chain?.heard.push(n));
  }

  get #chain() {
    return this.chains.at(-1);
  }

  #note(what) {
    this.log.push(`${this.#history.next()} ${what}, heard ${this.#chain?.heard.at(-1)}`);
  }

  #begin() {
    const { id, recovered } = this.socket;
    this.#note(`${id} ${recovered ? 'recovered' : 'connected'}`);
    if (this.socket.recovered) {
      this.recovered += 1;
      return;
    }
    if (this.#chain) this.lost += 1;
    const chain = { name: this.name, from: new Map([['user', this.#history.next()]]), heard: [] };
    this.chains.push(chain);
    for (const room of this.rooms) this.#join(chain, room);
  }

  /** Joins, again as long as it was not answered. */
  #join(chain, room) {
    if (chain !== this.#chain || this.#history.isRemoved(this.userId, room)) return;
    const id = room.slice('conversation:'.length);
    this.socket.timeout(3_000).emit('conversation:join', id, (error, answer) => {
      if (!error && answer.success) {
        chain.from.set(room, this.#history.next());
        this.#note(`in ${room}`);
      } else if (chain === this.#chain) setTimeout(() => this.#join(chain, room), 50);
    });
  }

  get isSettled() {
    const isIn = (room) => this.#chain.from.has(room) || this.#history.isRemoved(this.userId, room);
    return this.socket.connected && this.rooms.every(isIn);
  }

  hears(n) {
    return this.#chain.heard.includes(n);
  }

  toString() {
    const { connected, io } = this.socket;
    const entered = [...(this.#chain?.from.keys() ?? [])];
    const { engine } = io;
    const state = [io._readyState, io._reconnecting, engine?.readyState, engine?.transport?.name, engine?.id];
    return JSON.stringify([this.name, { connected, entered }, state, this.error]);
  }

  /** What an event is to a chain: `must`, `may` or `no`. */
  #due(event, chain) {
    const { to } = event;
    if ((to.except ?? []).includes(`user-${this.userId}`)) return 'no';
    const mine = [['user', `user-${this.userId}`], ...this.rooms.map((room) => [room, room])];
    const hears = mine
      .filter(([, room]) => to === 'everyone' || to.rooms.includes(room))
      .map(([key, room]) => this.#history.due(event, this.userId, room, chain.from.get(key)));
    if (hears.includes('must')) return 'must';
    return hears.includes('may') ? 'may' : 'no';
  }

  /** What is wrong with what it heard, but for its order. */
  faults() {
    const faults = [];
    const { sent } = this.#history;
    this.chains.forEach((chain, at) => {
      const isLast = at === this.chains.length - 1;
      const heard = new Set(chain.heard);
      if (heard.size !== chain.heard.length) faults.push(`twice: ${twice(chain.heard)}`);
      // What was sent later than all that it heard may have been lost with a session that was lost.
      const last = Math.max(0, ...chain.heard.map((n) => sent[n].from));
      sent.forEach((event, n) => {
        const due = this.#due(event, chain);
        if (due === 'no' && heard.has(n)) faults.push(`not for them: ${n}`);
        if (due === 'must' && !heard.has(n) && (isLast || event.upto < last)) {
          faults.push(`missing: ${n}, sent to ${JSON.stringify(event.to)} from ${event.from} to ${event.upto}`);
        }
      });
    });
    return faults.map((fault) => `${this.name}: ${fault}`);
  }
}

function twice(list) {
  const seen = new Set();
  return list.filter((n) => seen.has(n) || !seen.add(n)).slice(0, 5);
}

/** What is wrong with what was heard; says what became of the first client of which something is. */
export function faultsOf(history, comers) {
  const each = comers.map((comer) => comer.faults());
  const first = comers.find((_, at) => each[at].length > 0);
  if (first) console.log([first.name, ...first.log].join('\n'));
  return [...each.flat(), ...history.orderFaults(comers.flatMap((comer) => comer.chains))];
}

/** Waits until all are in their rooms. */
export async function settled(comers, ms = 30_000) {
  const end = Date.now() + ms;
  for (;;) {
    const outside = comers.filter((comer) => !comer.isSettled);
    if (outside.length === 0) return;
    if (Date.now() > end) throw new Error(`they did not come in: ${outside.map(String)}`);
    await pause(20);
  }
}
