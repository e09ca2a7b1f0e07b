// A real Redis of a test's own, on a port of its own.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';

import { within } from './deadline.mjs';
import { freePort } from './server.mjs';

/** Starts it, and stops it after the tests of the file or suite; gives its URL. */
export async function startRedis() {
  const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), 'stoa-redis-'))];
  const options = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--dir', folder];
  const redis = spawn('redis-server', options, { stdio: 'ignore' });
  const gone = new Promise((resolve) => redis.once('close', resolve));
  const orphan = () => redis.kill('SIGKILL');
  process.once('exit', orphan);
  after(async () => {
    redis.kill('SIGKILL');
    await gone;
    process.off('exit', orphan);
    await rm(folder, { recursive: true });
  });
  await within(answers(port), () => 'Redis; `make setup` installs it');
  return `redis://127.0.0.1:${port}`;
}

async function answers(port) {
  for (;;) {
    const probe = connect(port, '127.0.0.1');
    const is_there = await new Promise((resolve) => {
      probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    probe.destroy();
    if (is_there) return;
    await new Promise((next) => setTimeout(next, 20));
  }
}
