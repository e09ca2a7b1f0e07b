// Socket.IO's own emitter over Redis, as it comes from npm: its backend does not know that it sends by way
// of this server, nor do the clients.

import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';

import { Emitter } from '@socket.io/redis-emitter';
import { createClient } from 'redis';

import { connect, connect2 } from './support/client.mjs';
import { once } from './support/deadline.mjs';
import { startRedis } from './support/redis.mjs';
import { startServer } from './support/server.mjs';

describe('an emitter of Node', async () => {
  const url = await startRedis();
  const server = await startServer({ REDIS_URL: url, STOA_BRIDGE__ENABLED: 'on' });
  const redis = await createClient({ url }).connect();
  // It ends with Redis, whichever ends first.
  redis.on('error', () => {});
  after(() => redis.destroy());
  const io = new Emitter(redis);
  // Ready is it also without Redis.
  for (;;) {
    const { status } = await (await fetch(`${server.url}/readyz`)).json();
    if (status === 'ok') break;
  }

  for (const [version, open] of Object.entries({ current: connect, '2.x': connect2 })) {
    test(`reaches everyone, rooms, and all but some, once, ${version} client`, async () => {
      const [ann, bob] = [await open(server, 'ann'), await open(server, 'bob')];
      for (let n = 0; n < 20; n += 1) io.emit('tick', { same: true });
      io.emit('at', { date: new Date(1_700_000_000_500), none: null });
      io.to('user-ann').emit('to ann', { n: 1 });
      io.to(['user-ann', 'user-bob']).except('user-ann').emit('to bob', { n: 2 });
      io.except('user-bob').emit('but bob', { n: 3 });
      io.of('/chat').emit('elsewhere', { n: 5 });
      io.emit('end', { n: 6 });
      for (const person of [ann, bob]) await person.hear('end');
      const ticks = Array(20).fill(['tick', { same: true }]);
      const at = ['at', { date: '2023-11-14T22:13:20.500Z', none: null }];
      const end = ['end', { n: 6 }];
      assert.deepEqual(await ann.heard(), [
        ...ticks,
        at,
        ['to ann', { n: 1 }],
        ['but bob', { n: 3 }],
        end,
      ]);
      assert.deepEqual(await bob.heard(), [...ticks, at, ['to bob', { n: 2 }], end]);
    });
  }

  test('speaks to one socket, gives several arguments, and never bytes', async () => {
    const ann = await connect(server, 'ann');
    const heard = once(ann.socket, 'several');
    io.to(ann.socket.id).emit('to a socket', { n: 4 });
    io.emit('bytes', Buffer.from([1, 2]));
    io.emit('several', 1.5, [null], { é: '\u0007"' }, -7, 2 ** 40, true);
    assert.deepEqual((await heard).slice(0, 6), [1.5, [null], { é: '\u0007"' }, -7, 2 ** 40, true]);
    const names = (await ann.heard()).map(([name]) => name);
    assert.deepEqual(names, ['to a socket', 'several']);
  });

  test('speaks to a namespace, and volatile', async () => {
    const ann = await connect(server, 'ann', { namespace: '/chat' });
    io.of('/chat').volatile.emit('soft', { n: 1 });
    io.of('chat').to('user-ann').emit('to ann', { n: 2 });
    assert.deepEqual(await ann.hear('soft'), { n: 1 });
    assert.deepEqual(await ann.hear('to ann'), { n: 2 });
  });

  test('has sockets join, leave and disconnect, in the order of what it sends', async () => {
    const ann = await connect(server, 'ann', { options: { reconnection: false } });
    io.in('user-ann').socketsJoin('vip');
    io.to('vip').emit('for vips', { n: 1 });
    io.in('vip').socketsLeave(['vip', 'user-ann']);
    io.to('vip').emit('for nobody', { n: 2 });
    io.serverSideEmit('hello', 1);
    io.to('user-ann').emit('bye', { n: 3 });
    const [bye, gone] = [ann.hear('bye'), once(ann.socket, 'disconnect')];
    io.in('user-ann').disconnectSockets(true);
    assert.deepEqual(await bye, { n: 3 });
    await gone;
    // All that it heard is there by now.
    const names = [];
    await ann.hears((events) => names.push(...events.map(([name]) => name)) > 0, 'anything');
    assert.ok(names.includes('for vips') && !names.includes('for nobody'), names.join());
  });
});
