// Three servers on one Postgres and one Redis, official clients behind networks that cut, and one fault
// after the other: a server killed, stopped for a while, all of them restarted in turns, Redis killed and
// emptied, links that swallow everything, a server whose network is gone, Postgres restarted. Who was
// recovered has heard all that was theirs, once and in one order; who was put out of a room hears nothing of
// it any more; and who is online is known on every server.
//
// A short form of the drill (`make drill`): `CLUSTER_CLIENTS`, `CLUSTER_ROUNDS`, `CLUSTER_STOPPED_MS` and
// `CLUSTER_MIX` make it longer, `CLUSTER_SEED` repeats its choices.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { io } from 'socket.io-client';

import { cuttingProxy } from './support/cutting.mjs';
import { Comer, History, faultsOf, generator, pause, settled } from './support/history.mjs';
import { startLink } from './support/link.mjs';
import { startNetwork } from './support/network.mjs';
import { startServer } from './support/server.mjs';
import { startPostgres, startRedis } from './support/services.mjs';
import { tokenFor } from './support/tokens.mjs';

const NODES = 3;
const CLIENTS = Number(process.env.CLUSTER_CLIENTS ?? 12);
/** How often each fault comes alone, and how many come at any time, over each other. */
const ROUNDS = Number(process.env.CLUSTER_ROUNDS ?? 1);
const MIX = Number(process.env.CLUSTER_MIX ?? 0);
const STOPPED_MS = Number(process.env.CLUSTER_STOPPED_MS ?? 6_000);
const SEED = Number(process.env.CLUSTER_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Backends that emit at the same time. */
const BACKENDS = 2;
/** How long presence may take to be right after the last fault. */
const PRESENCE_MS = 12_000;

const random = generator(SEED);
const pick = (list) => list[Math.floor(random() * list.length)];
const numbered = (many, name) => Array.from({ length: many }, (_, at) => `${name}${at}`);
const ROOMS = numbered(6, 'conversation:c');
/** Groups that have a record, whose people may be put out. */
const GROUPS = [];
const USERS = numbered(Math.ceil(CLIENTS / 2), 'user');

function target() {
  const way = random();
  if (way < 0.35) return { rooms: [pick(ROOMS)] };
  if (way < 0.55) return { rooms: [pick(GROUPS)] };
  if (way < 0.7) return { rooms: [pick(ROOMS), pick(GROUPS), `user-${pick(USERS)}`] };
  if (way < 0.8) return { rooms: [`user-${pick(USERS)}`] };
  if (way < 0.95) return { rooms: [pick(ROOMS)], except: [`user-${pick(USERS)}`] };
  return 'everyone';
}

/** Three servers, and what they have in common through links of their own. */
async function startNodes() {
  const [postgres, redis] = [await startPostgres(), await startRedis()];
  const network = startNetwork(NODES);
  const beats = { PING_INTERVAL: '2s', PING_TIMEOUT: '2s' };
  const nodes = [];
  for (let at = 0; at < NODES; at += 1) {
    const [outside, place] = [network?.outside, network?.places[at]];
    const links = { postgres: await startLink(postgres.port, outside), redis: await startLink(redis.port, outside) };
    const settings = {
      DATABASE_URL: postgres.url(links.postgres.port, outside),
      REDIS_URL: redis.url(links.redis.port, outside),
      LIMITS: 'off',
      ROOM_POLICY: 'open',
      DRAIN_TIMEOUT: '2s',
      ...beats,
    };
    nodes.push({ server: await startServer(settings, place), links, place, isUp: true });
  }
  return { postgres, redis, nodes, network };
}

/** Sends a client to its node as long as that is up, and to another then. */
async function balancer(nodes, home) {
  let node = nodes[home % NODES];
  const chosen = {
    get port() {
      if (!node.isUp) node = pick(nodes.filter((other) => other.isUp)) ?? node;
      return node.server.port;
    },
    get host() {
      return node.server.host;
    },
  };
  return cuttingProxy(chosen, { random, life: 3_000 });
}

/** What may happen, each by what it is called. */
function failures({ nodes, postgres, redis, network }) {
  const down = async (node, meanwhile) => {
    node.isUp = false;
    await meanwhile();
    node.isUp = true;
  };
  const up = () => pick(nodes.filter((node) => node.isUp));
  const held = async (link) => {
    link.hold();
    await pause(4_000);
    link.free();
  };
  return {
    'a server is killed': () => {
      const node = up();
      return down(node, async () => {
        await node.server.kill();
        await pause(500 + random() * 1_000);
        await node.server.start();
      });
    },
    'a server stands still': () => {
      const node = up();
      return down(node, async () => {
        node.server.signal('SIGSTOP');
        await pause(STOPPED_MS);
        node.server.signal('SIGCONT');
      });
    },
    ...(network && {
      'a server is cut off': () => {
        const node = up();
        return down(node, async () => {
          assert(node.place.cutOff());
          await pause(STOPPED_MS);
          assert(node.place.join());
        });
      },
    }),
    'all are restarted in turns': async () => {
      for (const node of nodes) {
        await down(node, async () => {
          await node.server.terminate();
          await node.server.start();
        });
      }
    },
    'Redis is killed': async () => {
      await redis.stop();
      await pause(2_000);
      await redis.start();
    },
    'Redis is emptied': async () => assert.equal(await redis.ask('FLUSHALL'), '+OK'),
    'nothing passes to Postgres': () => held(up().links.postgres),
    'nothing passes to Redis': () => held(up().links.redis),
    'Postgres is restarted': async () => {
      await postgres.stop();
      await pause(500);
      await postgres.start();
    },
  };
}

/** A call that may fail: whatever is not answered may have been done, or not. */
async function call(server, method, path, token, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const options = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(5_000) };
  const answer = await fetch(server.url + path, options).catch(() => undefined);
  return answer?.ok ? { body: await answer.text() } : undefined;
}

/** The same until it is done. */
async function insist(nodes, ...request) {
  for (;;) {
    const answer = await call(pick(nodes).server, ...request);
    if (answer) return answer;
    await pause(100);
  }
}

/** Who is told of everybody on one server: what they heard of a user comes and goes in turns. */
class Watcher {
  faults = [];
  #last = new Map();

  constructor(server, at) {
    this.socket = io(server.url, { transports: ['websocket'], reconnectionDelayMax: 500, auth: { token: tokenFor(`watcher${at}`) } });
    after(() => this.socket.close());
    // What came while it was away, or while the servers did not hear each other, it does not know.
    this.socket.on('connect', () => this.forget());
    for (const event of ['user:online', 'user:offline']) {
      this.socket.on(event, ({ userId }) => {
        if (this.#last.get(userId) === event) this.faults.push(`${event} of ${userId} twice on server ${at}`);
        this.#last.set(userId, event);
      });
    }
  }

  forget() {
    this.#last.clear();
  }
}

/** Waits until every server says of every user whether they are there; after how long it does. */
async function presenceIsRight(nodes, online) {
  const began = Date.now();
  const wanted = JSON.stringify(USERS.map((userId) => [userId, online.has(userId) ? 'online' : 'offline']));
  for (;;) {
    const said = await Promise.all(
      nodes.map(async ({ server }) => {
        const answer = await call(server, 'POST', '/api/presence/query', tokenFor('watcher'), { userIds: USERS });
        const items = answer ? JSON.parse(answer.body).items : [];
        return items;
      }),
    );
    const brief = (items) => JSON.stringify(items.map(({ userId, status }) => [userId, status]));
    if (said.every((items) => brief(items) === wanted)) return Date.now() - began;
    const wrong = () => said.map((items) => items.filter(({ userId, status }) => online.has(userId) !== (status === 'online')));
    assert(Date.now() - began < PRESENCE_MS, `wrong presence: ${JSON.stringify(wrong())}; seed ${SEED}`);
    await pause(50);
  }
}

test(`nobody misses anything on ${NODES} servers, whatever fails (seed ${SEED})`, async (t) => {
  const cluster = await startNodes();
  const { nodes, network } = cluster;
  if (!network) t.diagnostic('no server is cut off: that takes network namespaces, which only root makes on Linux');
  const history = new History();
  const owner = tokenFor('owner');
  for (const title of numbered(3, 'group')) {
    const group = { type: 'group', title, participantIds: USERS };
    const { body } = await insist(nodes, 'POST', '/api/conversations', owner, group);
    GROUPS.push(`conversation:${JSON.parse(body).conversation.id}`);
  }
  const watchers = nodes.map(({ server }, at) => new Watcher(server, at));
  const proxies = [];
  const comers = [];
  for (let at = 0; at < CLIENTS; at += 1) {
    const proxy = await balancer(nodes, at);
    proxies.push(proxy);
    const rooms = [ROOMS[at % ROOMS.length], ROOMS[(at * 5 + 1) % ROOMS.length], GROUPS[at % GROUPS.length]];
    comers.push(new Comer(history, proxy.url, USERS[at % USERS.length], rooms, at));
  }
  await settled(comers);

  let isOver = false;
  const backend = async () => {
    while (!isOver) {
      const n = history.begin(target());
      const { to } = history.sent[n];
      const { server } = pick(nodes.filter((node) => node.isUp)) ?? nodes[0];
      const answer = await server
        .post('/api/emit', { to, event: 'news', data: { n } }, undefined, AbortSignal.timeout(5_000))
        .catch(() => undefined);
      if (answer?.status === 202) history.end(n);
      await pause(5 + random() * 25);
    }
  };
  const putOut = async () => {
    for (const at of [0, 1, 2]) {
      await pause(4_000);
      const [user, group] = [USERS[at], GROUPS[at % GROUPS.length]];
      const path = `/api/conversations/${group.slice('conversation:'.length)}/participants/${user}`;
      await history.remove(user, group, () => insist(nodes, 'DELETE', path, owner));
    }
  };
  const others = [...Array.from({ length: BACKENDS }, backend), putOut()];
  for (const proxy of proxies) proxy.wild = true;
  const faults = Object.entries(failures(cluster));
  const happen = async ([what, fault]) => {
    t.diagnostic(what);
    const blinds = /Redis|stands still|cut off|in turns|killed/.test(what);
    if (blinds) watchers.forEach((watcher) => watcher.forget());
    await fault();
    if (blinds) watchers.forEach((watcher) => watcher.forget());
  };
  for (let round = 0; round < ROUNDS; round += 1) {
    const shuffled = faults.map((fault) => [random(), fault]).sort(([one], [other]) => one - other);
    for (const [, fault] of shuffled) {
      await happen(fault);
      await pause(1_000);
    }
  }
  const mixed = [];
  for (let n = 0; n < MIX; n += 1) {
    // Of those that stop what others need one at a time.
    const [one, other] = [pick(faults), pick(faults.filter(([what]) => what.startsWith('nothing passes')))];
    mixed.push(`${one[0]}, ${other[0]}`);
    await Promise.all([happen(one), happen(other)]);
    await pause(random() * 2_000);
  }
  const ended = Date.now();
  isOver = true;
  await Promise.all(others);
  for (const proxy of proxies) {
    proxy.wild = false;
    proxy.cutAll();
  }
  await settled(comers);
  const leaving = new Set(USERS.filter((_, at) => at % 3 === 0));
  const last = history.begin('everyone');
  await nodes[0].server.emit('everyone', 'news', { n: last });
  history.end(last);
  const end = Date.now() + 30_000;
  while (!comers.every((comer) => comer.hears(last)) && Date.now() < end) await pause(20);
  const cameIn = Date.now() - ended;
  watchers.forEach((watcher) => watcher.forget());
  for (const comer of comers) {
    if (leaving.has(comer.userId)) comer.socket.close();
  }
  const presence = await presenceIsRight(nodes, new Set(USERS.filter((user) => !leaving.has(user))));

  const total = (of) => comers.reduce((sum, comer) => sum + of(comer), 0);
  const chains = comers.flatMap((comer) => comer.chains);
  const figures = {
    sent: history.sent.length,
    unknown: history.sent.filter(({ upto }) => upto === undefined).length,
    heard: chains.reduce((sum, chain) => sum + chain.heard.length, 0),
    cuts: proxies.reduce((sum, proxy) => sum + proxy.cuts, 0),
    recovered: total((it) => it.recovered),
    lost: total((it) => it.lost),
    back: `${cameIn} ms`,
    presence: `${presence} ms`,
  };
  t.diagnostic(JSON.stringify({ seed: SEED, ...figures }));
  const wrong = [...faultsOf(history, comers), ...watchers.flatMap((watcher) => watcher.faults)];
  assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} faults, seed ${SEED}`);
  assert(figures.recovered > CLIENTS, JSON.stringify(figures));
  assert(figures.lost < figures.recovered, JSON.stringify(figures));
});
