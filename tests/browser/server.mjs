// Starts the real server on a free port, with data of its own, and stops it after the test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { atEnd } from './ends.mjs';

const BINARY =
  process.env.STOA_BIN ?? fileURLToPath(new URL('../../target/debug/stoa', import.meta.url));
const READY_MS = 20_000;
const POLL_MS = 20;

export const SECRET = 'a secret of the browser tests, longer than 32 bytes';

/** A token with these claims. */
export function token(claims, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ exp, ...claims })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A server as a developer starts it: with a secret of its own making, and a code for the console. */
export async function startDevelopment(t) {
  const { url, data, said } = await start(t, {});
  const secret = (await readFile(join(data, 'jwt-secret'), 'utf8')).trim();
  const giveUp = Date.now() + READY_MS;
  for (;;) {
    const code = said().match(/with the code (\w+)/)?.[1];
    if (code) return { url, secret, code };
    assert(Date.now() < giveUp, `no code in ${said()}`);
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
}

/** Gives the server's URL once it is ready; `t` is the test that needs it. */
export async function startServer(t, env = {}) {
  const { url } = await start(t, { JWT_SECRET: SECRET, ...env });
  return url;
}

async function start(t, env) {
  const [port, data] = [await freePort(), await mkdtemp(join(tmpdir(), 'stoa-'))];
  const child = spawn(BINARY, ['serve'], {
    // The data folder is also where it runs, so that no `.env` of a developer reaches it.
    cwd: data,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: port, STOA_DATA: data, LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  atEnd(t, async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(data, { recursive: true });
  });
  const url = `http://localhost:${port}`;
  const giveUp = Date.now() + READY_MS;
  for (;;) {
    const answer = await fetch(`${url}/readyz`).catch(() => null);
    if (answer?.ok) return { url, data, said: () => said };
    assert(Date.now() < giveUp && child.exitCode === null, `${BINARY} does not get ready: ${said}`);
    await new Promise((next) => setTimeout(next, POLL_MS));
  }
}
