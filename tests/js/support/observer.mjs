// `stoa observe` before another server.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after } from 'node:test';

import { within } from './deadline.mjs';
import { BINARY } from './server.mjs';
import { SECRET } from './tokens.mjs';

/** Starts to observe; clients connect to `url`, and `report()` ends it. */
export async function observe(upstream, env = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-observe-'));
  const file = join(folder, 'report.json');
  const args = ['observe', '--upstream', upstream, '--listen', '127.0.0.1:0', '--report', file];
  const child = spawn(BINARY, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, JWT_SECRET: SECRET, LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  after(async () => {
    child.kill('SIGKILL');
    await exited;
    await rm(folder, { recursive: true });
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more) => (text += more));
  const started = new Promise((resolve) => {
    createInterface(child.stderr).on('line', (line) => {
      const address = line.match(/^observing .* for clients of (\S+)$/)?.[1];
      if (address) resolve(address);
    });
  });
  const address = await within(started, () => 'its start');
  return {
    url: `http://${address}`,
    async report() {
      child.kill('SIGINT');
      const [code] = await within(exited, () => 'its end');
      return { ...JSON.parse(await readFile(file, 'utf8')), code, text };
    },
  };
}
