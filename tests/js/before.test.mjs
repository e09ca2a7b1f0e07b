// The examples of deploy/ that stand before the server: both clients over each transport reach it
// through them, and all else reaches the backend that was there.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { connect, connect2 } from './support/client.mjs';
import { once, within } from './support/deadline.mjs';
import { freePort, startServer } from './support/server.mjs';

const server = await startServer({ TRUSTED_PROXIES: '127.0.0.1/32' });
const backend = await startBackend();
const claims = { rooms: ['conversation:c1'] };

/** The backend that was there says what it was asked. */
async function startBackend() {
  const port = await freePort();
  const http = createServer((request, response) => {
    const { method, url, headers } = request;
    response.end(JSON.stringify({ method, url, host: headers.host }));
  });
  await new Promise((listening) => http.listen(port, '127.0.0.1', listening));
  after(() => http.closeAllConnections() ?? http.close());
  return { port };
}

/** Starts what an example of deploy/ is for, with the ports of the test in place of its own. */
async function stand(example, command) {
  const text = await readFile(new URL(`../../deploy/${example}`, import.meta.url), 'utf8');
  const port = await freePort();
  const ports = { 8080: port, 3003: server.port, 3000: backend.port };
  const own = text.replaceAll(/(?<=[ :])(8080|3003|3000)(?=[ ;\n])/g, (one) => ports[one]);
  for (const one of Object.values(ports)) assert.match(own, new RegExp(`\\b${one}\\b`), example);
  const folder = await mkdtemp(join(tmpdir(), 'stoa-before-'));
  await writeFile(join(folder, example), own);
  const [program, ...args] = command(folder, join(folder, example));
  const env = { PATH: `${process.env.PATH}:/usr/sbin`, HOME: folder };
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const orphan = () => child.kill('SIGTERM');
  process.once('exit', orphan);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  after(async () => {
    child.kill('SIGTERM');
    await ended;
    process.off('exit', orphan);
    await rm(folder, { recursive: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const answers = async () => {
    while (child.exitCode === null) {
      if ((await fetch(url).catch(() => null))?.ok) return;
      await new Promise((next) => setTimeout(next, 20));
    }
    throw new Error(`${program} ended: ${said}`);
  };
  await within(answers(), () => `an answer of ${program}; it said: ${said}`);
  // What a client asks the server by another way than its sockets goes to the server.
  return { ...server, url, emit: (...args) => server.emit(...args) };
}

const EXAMPLES = {
  'nginx.conf': (folder, path) => ['nginx', '-c', path, '-p', folder, '-e', 'stderr', '-g', 'daemon off; pid nginx.pid;'],
  Caddyfile: (folder, path) => ['caddy', 'run', '--config', path, '--adapter', 'caddyfile'],
};

for (const [example, command] of Object.entries(EXAMPLES)) {
  const before = await stand(example, command);

  for (const [name, open] of [['the current client', connect], ['the 2.x client', connect2]]) {
    for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
      test(`${name} over ${transports.join(', then ')} comes through ${example}`, async () => {
        const alice = await open(before, 'alice', { claims, options: { transports } });
        const { engine } = alice.socket.io;
        const last = transports.at(-1);
        if (engine.transport.name !== last) await once(engine, 'upgrade');
        assert.equal(engine.transport.name, last);
        assert.equal((await alice.ask('conversation:join', 'c1')).success, true);
        const content = 'stoa '.repeat(20_000);
        await server.emit({ room: 'conversation:c1' }, 'message:new', { content });
        assert.equal((await alice.hear('message:new')).content, content);
      });
    }
  }

  test(`a long token and a large message come through ${example}`, async () => {
    const options = { transports: ['polling'] };
    const long = { ...claims, note: 'x'.repeat(11_000) };
    const alice = await connect2(before, 'alice', { claims: long, options });
    const answer = await alice.ask('conversation:join', { conversationId: 'c1', note: 'x'.repeat(900_000) });
    assert.equal(answer.success, true);
  });

  test(`all else goes through ${example} to the backend that was there`, async () => {
    for (const path of ['/', '/api/orders?page=2', '/socket.iox']) {
      const answer = await fetch(before.url + path, { method: 'POST' });
      const host = new URL(before.url).host;
      assert.deepEqual(await answer.json(), { method: 'POST', url: path, host });
    }
  });
}
