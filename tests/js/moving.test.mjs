// The official clients in a conversation that another server had: by its old id, with its old history.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { assertHas, connect, connect2 } from './support/client.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const PAGE = fileURLToPath(new URL('../../docs/moving', import.meta.url));
const [ANN, BOB] = ['5f0c1a2b3c4d5e6f70810001', '5f0c1a2b3c4d5e6f70810002'];
const OLD = '5f0c1a2b3c4d5e6f70820001';

const server = await startServer();

/** What mongoexport wrote, as the page has it taken in. */
before(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'stoa-'));
  after(() => rm(folder, { recursive: true }));
  const files = ['users', 'conversations', 'messages'].map((name) => `mongo/${name}.json`);
  const args = ['-c', '-f', 'mongo.jq', ...files];
  const { stdout } = await promisify(execFile)('jq', args, { cwd: PAGE });
  await writeFile(join(folder, 'lines.jsonl'), stdout);
  await server.terminate();
  const done = await server.verb('import', join(folder, 'lines.jsonl'));
  const [total] = done.split('\n');
  assert.equal(total, '10 lines: 10 written, 0 were there already.');
  await server.start();
});

async function history(user) {
  const headers = { authorization: `Bearer ${tokenFor(user)}` };
  const answer = await fetch(`${server.url}/api/conversations/${OLD}/messages`, { headers });
  const { items } = await answer.json();
  return items.map(({ content }) => content).reverse();
}

test('clients of both dialects join it, read it, write into it, and are heard', async () => {
  const ann = await connect(server, ANN);
  const bob = await connect(server, BOB, { namespace: '/marketplace' });
  const older = await connect2(server, BOB, { namespace: '/chat' });
  assertHas(await ann.ask('conversation:join', OLD), { success: true, conversationId: OLD });
  assertHas(await older.ask('conversation:join', OLD), { success: true });
  assertHas(await bob.ask('join-chat-room', OLD), { success: true });
  const said = ['Hello Bob', 'Do you have "the" file?\nIt is due.', 'Here it is'];
  assert.deepEqual(await history(BOB), said);
  const sent = await ann.ask('message:send', { conversationId: OLD, content: 'and so on' });
  assertHas(sent, { success: true });
  assertHas(await bob.hear('new-message'), { chatId: OLD, senderId: ANN });
  assertHas(await older.hear('message:new'), {
    messageId: sent.message.id,
    conversationId: OLD,
    sender: { id: ANN, firstName: 'Ann', lastName: 'Ames' },
  });
  assert.deepEqual(await history(ANN), [...said, 'and so on']);
});
