// Webhooks as a backend in Node receives them: the receiver of docs/webhooks.md as it stands there, which
// verifies with the library of Standard Webhooks, and goes on after it was away.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { within } from './support/deadline.mjs';
import { freePort, startServer } from './support/server.mjs';

const SECRET = `whsec_${Buffer.from('stoa tests, 32 bytes of a secret').toString('base64')}`;
const page = await readFile(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');
const [, source] = page.match(/```js\n([^]*?)```/);
// Beside these tests, where its library is.
const script = fileURLToPath(new URL(`receiver-${process.pid}.mjs`, import.meta.url));
await writeFile(script, source);
after(() => rm(script));

/** The receiver of the page, on a port. */
function receive(port) {
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, PORT: String(port), WEBHOOK_SECRET: SECRET },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const receiver = { lines: [], end: () => child.kill('SIGKILL') };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    receiver.lines.push(...text.trimEnd().split('\n'));
  });
  after(receiver.end);
  return receiver;
}

async function until(condition, what) {
  const asked = async () => {
    while (!(await condition())) await new Promise((next) => setTimeout(next, 20));
  };
  await within(asked(), () => what);
}

const answers = (port) =>
  fetch(`http://127.0.0.1:${port}`, { method: 'POST', body: '{}' }).then(
    (response) => response.status,
    () => 0,
  );

test('the receiver of the page verifies, and is told what it missed, in order', async () => {
  const port = await freePort();
  const server = await startServer({
    WEBHOOK_URL: `http://127.0.0.1:${port}/stoa`,
    WEBHOOK_SECRET: SECRET,
    WEBHOOK_EVENTS: 'tick',
  });
  const first = receive(port);
  await until(async () => (await answers(port)) === 400, 'the receiver to listen and refuse others');
  await server.emit({ room: 'lobby' }, 'tick', { n: 1 });
  await until(() => first.lines.length === 1, 'the first event');
  assert.equal(first.lines[0], 'tick other/lobby 1 {"n":1}');
  first.end();
  await until(async () => (await answers(port)) === 0, 'its end');
  for (const n of [2, 3]) await server.emit({ room: 'lobby' }, 'tick', { n });
  const second = receive(port);
  await until(() => second.lines.length === 2, 'the events that it missed');
  assert.deepEqual(second.lines, ['tick other/lobby 2 {"n":2}', 'tick other/lobby 3 {"n":3}']);
});
