// The API's description, as Redocly's linter reads it, and the events', as AsyncAPI's parser does: valid
// documents. Each example of REST fits its schema; those of events are looked at in types.test.mjs.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { Parser } from '@asyncapi/parser';

import { startServer } from './support/server.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const server = await startServer();
const folder = await mkdtemp(join(tmpdir(), 'stoa-description-'));
after(() => rm(folder, { recursive: true }));

/** What Redocly says of a document; nothing when all is well. */
async function lint(document) {
  const file = join(folder, 'openapi.json');
  await writeFile(file, JSON.stringify(document));
  const redocly = here('./node_modules/@redocly/cli/bin/cli.js');
  const args = [redocly, 'lint', file, `--config=${here('./redocly.yaml')}`, '--format=json'];
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const run = promisify(execFile)(process.execPath, args, { env, maxBuffer: 1 << 26 });
  const { stdout } = await run.catch((failed) => failed);
  return JSON.parse(stdout).problems.map(({ ruleId, message, location }) =>
    `${ruleId}: ${message} ${location[0]?.pointer}`);
}

const description = await (await fetch(`${server.url}/api/openapi.json`)).json();

test('the description is without an error', async () => {
  assert.deepEqual(await lint(description), []);
});

test('an example that is not true to its schema is an error', async () => {
  const changed = structuredClone(description);
  const { responses } = changed.paths['/api/points/me'].get;
  responses['200'].content['application/json'].example.points = 'many';
  const [found, ...others] = await lint(changed);
  assert.match(found, /^no-invalid-media-type-examples/);
  assert.deepEqual(others, []);
});

/** What AsyncAPI's parser says of a document, but that there is a newer version of AsyncAPI. */
async function parse(document) {
  const { diagnostics } = await new Parser().parse(JSON.stringify(document));
  return diagnostics.filter(({ code }) => code !== 'asyncapi-latest-version')
    .map(({ code, message, path }) => `${code}: ${message} ${path.join('.')}`);
}

const events = await (await fetch(`${server.url}/api/asyncapi.json`)).json();

test('the description of the events is without an error', async () => {
  assert.deepEqual(await parse(events), []);
});

test('an event that leads nowhere is an error', async () => {
  const changed = structuredClone(events);
  delete changed.components.messages['server.unread-count-update'];
  assert.match((await parse(changed))[0] ?? 'nothing', /^invalid-ref/);
});
