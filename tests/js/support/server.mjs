// Starts the real server on a free port with its own data, and speaks its REST API.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { DEADLINE_MS, within } from './deadline.mjs';
import { SECRET } from './tokens.mjs';

const API_KEY = 'an-api-key-of-the-tests';
/** The binary under test. */
export const BINARY = resolve(
  process.env.STOA_BIN ?? fileURLToPath(new URL('../../../target/debug/stoa', import.meta.url)),
);
const READY_POLL_MS = 20;

/**
 * Starts a server and stops it after the tests of the file or suite; `env` adds to its environment, and
 * it may run in a `place` of a network of its own.
 */
export async function startServer(env = {}, place = undefined) {
  const data = await mkdtemp(join(tmpdir(), 'stoa-'));
  const server = new Server(await freePort(), data, env, place);
  after(async () => {
    await server.kill();
    await rm(data, { recursive: true });
  });
  await server.start();
  return server;
}

/**
 * A port below the range from which the system takes ports for outgoing connections: a server
 * that comes back to its port finds it free.
 */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (free) {
      await new Promise((closed) => probe.close(closed));
      return port;
    }
  }
}

class Server {
  #port;
  #env;
  #place;
  #child;
  #exited;
  #log = '';

  constructor(port, data, env, place) {
    this.#port = port;
    this.#place = place;
    this.#env = {
      PATH: process.env.PATH,
      HOST: place?.address ?? '127.0.0.1',
      PORT: String(port),
      JWT_SECRET: SECRET,
      STOA_DATA: data,
      LOG_LEVEL: 'warn',
      API_KEYS: `tests:${createHash('sha256').update(API_KEY).digest('hex')}`,
      ...env,
    };
  }

  get port() {
    return this.#port;
  }

  get host() {
    return this.#env.HOST;
  }

  get url() {
    return `http://${this.host}:${this.#port}`;
  }

  /** Starts the process and waits until it is ready; again after it has ended. */
  async start() {
    // The data folder is also where it runs, so that no `.env` of a developer reaches it.
    const [program, ...args] = [...(this.#place?.command ?? []), BINARY, 'serve'];
    const child = spawn(program, args, {
      cwd: this.#env.STOA_DATA,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (this.#log += text));
    }
    this.#exited = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    const orphan = () => child.kill('SIGKILL');
    process.once('exit', orphan);
    child.once('exit', () => process.off('exit', orphan));
    await within(this.#ready(), () => `readiness of ${BINARY}; it said: ${this.#log}`);
  }

  async #ready() {
    let ended;
    this.#exited.then(({ code }) => (ended = `exit code ${code}`), (error) => (ended = error));
    const giveUp = Date.now() + DEADLINE_MS;
    while (Date.now() < giveUp) {
      assert(!ended, `the server did not start (${ended}); it said: ${this.#log}`);
      const response = await fetch(`${this.url}/readyz`).catch(() => null);
      if (response?.status === 200) return;
      await new Promise((next) => setTimeout(next, READY_POLL_MS));
    }
  }

  /** Does something else with its store, by a verb of the command line, and gives what that said. */
  async verb(...args) {
    const options = { cwd: this.#env.STOA_DATA, env: this.#env };
    return (await promisify(execFile)(BINARY, args, options)).stdout;
  }

  /** Asks it to end in good order, and gives what it exited with once it has. */
  terminate() {
    this.#child.kill('SIGTERM');
    return within(this.#exited, () => `the end of the process; it said: ${this.#log}`);
  }

  async kill() {
    this.#child.kill('SIGKILL');
    await this.#exited.catch(() => {});
  }

  /** Sends the process a signal, such as SIGSTOP. */
  signal(name) {
    this.#child.kill(name);
  }

  /** Posts JSON as the backend service that holds the tests' API key, unless `headers` differ. */
  post(path, body, headers = { 'x-api-key': API_KEY }, signal) {
    return fetch(this.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal,
    });
  }

  /** Deletes something as a backend does. */
  delete(path) {
    return fetch(this.url + path, { method: 'DELETE', headers: { 'x-api-key': API_KEY } });
  }

  /** Emits an event through `POST /api/emit` and gives its answer. */
  async emit(to, event, data, more = {}) {
    const response = await this.post('/api/emit', { to, event, data, ...more });
    const body = await response.text();
    assert.equal(response.status, 202, body);
    return JSON.parse(body);
  }

  /** Emits many events, in order, through `POST /api/emit/batch`. */
  async emitBatch(emits) {
    const response = await this.post('/api/emit/batch', { emits });
    const body = await response.text();
    assert.equal(response.status, 207, body);
    return JSON.parse(body).results;
  }
}
