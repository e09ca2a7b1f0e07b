// Many unmodified clients behind a network that cuts, stalls and half-closes, and a server that is killed
// and started again: whoever was recovered has heard all that were theirs, once and in its order.
// `COMEBACK_CLIENTS` and `COMEBACK_EVENTS` make it long (`make drill`), `COMEBACK_SEED` repeats a run.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { io as io45 } from 'socket.io-client-4.5';

import { cuttingProxy } from './support/cutting.mjs';
import { Comer, History, faultsOf, generator, pause, settled } from './support/history.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const CLIENTS = Number(process.env.COMEBACK_CLIENTS ?? 12);
const EVENTS = Number(process.env.COMEBACK_EVENTS ?? 600);
const KILLS = Number(process.env.COMEBACK_KILLS ?? 3);
const SEED = Number(process.env.COMEBACK_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROOMS = Array.from({ length: 6 }, (_, at) => `conversation:c${at}`);
const USERS = Array.from({ length: Math.ceil(CLIENTS / 2) }, (_, at) => `user${at}`);

const random = generator(SEED);
const pick = (list) => list[Math.floor(random() * list.length)];

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
  const history = new History();
  const comers = Array.from({ length: CLIENTS }, (_, at) => {
    const rooms = [ROOMS[at % ROOMS.length], ROOMS[(at * 5 + 1) % ROOMS.length]];
    return new Comer(history, proxy.url, USERS[at % USERS.length], rooms, at);
  });
  // One that knows nothing of recovery is not disturbed by it.
  const older = io45(server.url, { transports: ['websocket'], auth: { token: tokenFor('older') } });
  after(() => older.close());
  const olders = [];
  older.on('news', ({ n }) => olders.push(n));
  const emit = async (to) => {
    const n = history.begin(to);
    await server.emit(to, 'news', { n });
    history.end(n);
    return n;
  };
  await settled(comers);
  proxy.wild = true;
  proxy.cutAll();
  const kills = new Set(Array.from({ length: KILLS }, (_, at) => Math.floor(((at + 1) * EVENTS) / (KILLS + 1))));
  for (let n = 0; n < EVENTS; n += 1) {
    if (kills.has(n)) {
      await server.kill();
      await server.start();
    }
    await emit(target());
    if (n % 8 === 0) await pause(20 + random() * 40);
  }
  proxy.wild = false;
  proxy.cutAll();
  await settled(comers);
  // Whatever is on its way comes before this.
  const last = await emit('everyone');
  const end = Date.now() + 30_000;
  while (!comers.every((comer) => comer.hears(last)) && Date.now() < end) await pause(20);
  const total = (of) => comers.reduce((sum, comer) => sum + of(comer), 0);
  const figures = { cuts: proxy.cuts, recovered: total((it) => it.recovered), lost: total((it) => it.lost) };
  const chains = comers.flatMap((comer) => comer.chains);
  const heard = chains.reduce((sum, chain) => sum + chain.heard.length, 0);
  console.log(JSON.stringify({ seed: SEED, ...figures, heard }));
  const faults = faultsOf(history, comers);
  assert.deepEqual(faults.slice(0, 20), [], `${faults.length} faults, seed ${SEED}`);
  assert(figures.recovered > CLIENTS, JSON.stringify(figures));
  assert(figures.lost < figures.recovered, JSON.stringify(figures));
  assert(olders.length > 0 && olders.every((n, at) => at === 0 || n > olders[at - 1]), 'the older client');
});
