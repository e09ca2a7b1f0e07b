// Starts the real server on a free port, with data of its own, and stops it after the test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BINARY =
  process.env.STOA_BIN ?? fileURLToPath(new URL('../../target/debug/stoa', import.meta.url));
const READY_MS = 20_000;
const POLL_MS = 20;

export const SECRET = 'a secret of the browser tests, longer than 32 bytes';

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Gives the server's URL once it is ready; `t` is the test that needs it. */
export async function startServer(t, env = {}) {
  const [port, data] = [await freePort(), await mkdtemp(join(tmpdir(), 'stoa-'))];
  const child = spawn(BINARY, ['serve'], {
    // The data folder is also where it runs, so that no `.env` of a developer reaches it.
    cwd: data,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: port, JWT_SECRET: SECRET, STOA_DATA: data, LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(data, { recursive: true });
  });
  const url = `http://localhost:${port}`;
  const giveUp = Date.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok) return url;
    assert(Date.now() < giveUp && child.exitCode === null, `${BINARY} does not get ready`);
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
}
