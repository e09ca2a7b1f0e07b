// A real Postgres and a real Redis of a test's own, each on a port of its own. They end with the test,
// however it ends, and may be stopped and started before.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after } from 'node:test';

import { pause } from './history.mjs';
import { freePort } from './server.mjs';

/** Postgres refuses to run as root; this is the one who has nothing on any machine. */
const NOBODY = 65534;
const START_MS = 20_000;

/** Runs a program until the pipe from the test closes; then nobody but this is left to remove the folder. */
const UNTIL_CLOSED = `
  folder=$1; shift
  "$@" </dev/null &
  read -r last
  kill -INT $!; wait $!
  [ "$last" = keep ] || rm -rf "$folder"
`;

class Service {
  #folder;
  #command;
  #options;
  #shell;

  constructor(port, folder, command, options = {}) {
    this.port = port;
    this.#folder = folder;
    this.#command = command;
    this.#options = options;
    after(() => this.#shell?.stdin.end());
  }

  async start() {
    const args = ['-c', UNTIL_CLOSED, 'sh', this.#folder, ...this.#command];
    this.#shell = spawn('sh', args, { cwd: this.#folder, stdio: ['pipe', 'ignore', 'ignore'], ...this.#options });
    this.ended = new Promise((resolve) => this.#shell.once('exit', resolve));
    const end = Date.now() + START_MS;
    while (!(await answers(this.port))) {
      assert(Date.now() < end, `${this.#command[0]} did not start; \`make setup\` installs it`);
      await pause(10);
    }
  }

  /** Stops it, whoever is connected, and keeps its files. */
  async stop() {
    this.#shell.stdin.end('keep\n');
    await this.ended;
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const probe = connect(port, '127.0.0.1', () => resolve(true));
    probe.on('error', () => resolve(false)).on('connect', () => probe.destroy());
  });
}

/** A Postgres, and the name of the database that everybody may use. */
export async function startPostgres() {
  const debian = existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
    : [];
  const has = (folder) => ['initdb', 'postgres'].every((name) => existsSync(join(folder, name)));
  const programs = [...process.env.PATH.split(delimiter), ...debian].find(has);
  assert(programs, "Postgres's programs are missing, which `make setup` installs");
  const folder = mkdtempSync(join(tmpdir(), 'stoa-postgres-'));
  const options = process.getuid() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (options.uid) chownSync(folder, NOBODY, NOBODY);
  const data = join(folder, 'data');
  const made = spawnSync(
    join(programs, 'initdb'),
    ['--no-sync', '--auth=trust', '--username=stoa', '--encoding=UTF8', '--locale=C', '-D', data],
    { cwd: folder, ...options },
  );
  assert.equal(made.status, 0, String(made.stderr));
  const port = await freePort();
  const settings = { fsync: 'off', logging_collector: 'off', max_connections: 300, listen_addresses: '127.0.0.1' };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [join(programs, 'postgres'), '-D', data, '-k', folder, '-p', String(port), ...args];
  const postgres = new Service(port, folder, command, options);
  await postgres.start();
  postgres.url = (through = port, host = '127.0.0.1') => `postgres://stoa@${host}:${through}/postgres`;
  return postgres;
}

/** A Redis; what it knew is gone after a stop. */
export async function startRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'stoa-redis-'));
  const port = await freePort();
  const settings = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--port', String(port), '--dir', folder];
  const redis = new Service(port, folder, ['redis-server', ...settings]);
  await redis.start();
  redis.url = (through = port, host = '127.0.0.1') => `redis://${host}:${through}`;
  /** Sends a command, and gives the first line of its answer. */
  redis.ask = (command) =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(`${command}\r\n`));
      socket.on('error', reject).once('data', (line) => {
        socket.destroy();
        resolve(String(line).trim());
      });
    });
  return redis;
}
