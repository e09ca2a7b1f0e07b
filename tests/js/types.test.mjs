// `/api/events.d.ts` in an editor: what TypeScript makes of right and wrong uses, and what it proposes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

import { startServer } from './support/server.mjs';

// Beside this file, so that the types of `socket.io-client` are found. None is ever written.
const at = (name) => fileURLToPath(new URL(name, import.meta.url));
const [EVENTS, APP] = [at('./events.d.ts'), at('./app.ts')];

const server = await startServer();
const text = async (path) => (await fetch(server.url + path)).text();
const events = await text('/api/events.d.ts');
const { components } = JSON.parse(await text('/api/asyncapi.json'));

/** The editor's view of an app with this text. */
function editor(app) {
  const files = new Map([[EVENTS, events], [APP, app]]);
  const read = (name) => files.get(name) ?? ts.sys.readFile(name);
  const options = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
    types: [],
  };
  return ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...files.keys()],
    getScriptVersion: () => '1',
    getScriptSnapshot: (name) => {
      const found = read(name);
      return found === undefined ? undefined : ts.ScriptSnapshot.fromString(found);
    },
    getCurrentDirectory: () => at('.'),
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (name) => files.has(name) || ts.sys.fileExists(name),
    readFile: read,
    directoryExists: ts.sys.directoryExists,
  });
}

/** What is wrong with an app that begins with a socket; a line each. */
function faults(lines, file = APP) {
  const service = editor(`${HEAD}\n${lines}`);
  const found = [
    ...service.getSyntacticDiagnostics(file),
    ...service.getSemanticDiagnostics(file),
  ];
  return found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

const HEAD = `
  import { io, type Socket } from 'socket.io-client';
  import type { ClientToServerEvents, ServerToClientEvents, StoaSocket } from './events';
  declare const message: { conversationId: string; content: string };
  const socket: StoaSocket = io('http://localhost:3003');
`;

/** What the server sends and what it hears, of which an app may use each so. */
const [SENT, HEARD] = ['ServerToClientEvents', 'ClientToServerEvents'].map((name) => {
  const [, body] = new RegExp(`export interface ${name} {\n(.*?)\n}\n`, 's').exec(events);
  return [...body.matchAll(/^ {2}"(.+?)": \(payload: (.+?)(?:, ack|\) =>)/gm)].map((m) => m.slice(1));
});

test('the types are whole, and without a fault of their own', () => {
  const described = Object.entries(components.messages).filter(([key]) => !key.startsWith('ack.'));
  const names = new Set([...SENT, ...HEARD].map(([name]) => name));
  assert(described.length > 60);
  assert.deepEqual(described.filter(([, { name }]) => !names.has(name)), []);
  assert.deepEqual(faults('', EVENTS), []);
});

test('each event is used as it is declared', () => {
  const types = [...new Set([...SENT, ...HEARD].map(([, type]) => type))];
  const imported = types.filter((type) => /^\w+$/.test(type) && type !== 'null');
  const uses = [
    `import type { ${imported.join(', ')} } from './events';`,
    ...SENT.map(([name, type]) => `socket.on('${name}', (it: ${type}) => it);`),
    ...HEARD.flatMap(([name, type]) => [
      `socket.emit('${name}', {} as ${type});`,
      `socket.emit('${name}', {} as ${type}, ({ success }) => success);`,
      `socket.timeout(9).emit('${name}', {} as ${type}, (error, it) => error ?? it.success);`,
      `socket.emitWithAck('${name}', {} as ${type}).then(({ success }) => success);`,
      `socket.timeout(9).emitWithAck('${name}', {} as ${type}).then(({ success }) => success);`,
    ]),
  ];
  assert.deepEqual(faults(uses.join('\n')), []);
});

test('each event refuses what it does not take', () => {
  const wrong = [
    ...SENT.map(([name]) => `socket.on('${name}', (it: symbol) => it);`),
    ...HEARD.flatMap(([name]) => [
      `socket.emit('${name}', Symbol());`,
      `socket.emit('${name}', Symbol(), () => {});`,
      `socket.timeout(9).emit('${name}', Symbol(), () => {});`,
      `socket.emitWithAck('${name}', Symbol());`,
      `socket.emitWithAck('${name}');`,
      `socket.emitWithAck('${name}', {} as never).then(({ nothing }) => nothing);`,
      `socket.timeout(9).emitWithAck('${name}', Symbol());`,
    ]),
  ];
  assert.deepEqual(faults(wrong.map((line) => `// @ts-expect-error\n${line}`).join('\n')), []);
  assert.equal(faults(wrong.join('\n')).length, wrong.length);
});

for (const [what, right, wrong] of [
  ['hears', `socket.on('message:new', ({ content }) => content.length);`,
    `socket.on('typing:start', ({ contents }) => contents);`],
  ['hears once', `socket.once('message:new', ({ seq }) => seq);`, `socket.once('message:nwe', () => {});`],
  ['emits', `socket.emit('message:send', message);`, `socket.emit('message:sned', message);`],
  ['emits by a flag', `socket.volatile.emit('typing:start', message);`,
    `socket.volatile.emit('typing:start', 7);`],
  ['is answered',
    `socket.emit('message:send', message, (it) => it.success ? it.message.id : it.error);`,
    `socket.emit('message:send', message, (it) => it.message.id);`],
  ['awaits an answer',
    `socket.emitWithAck('message:send', message).then((it) => it.success && it.message.content);`,
    `socket.emitWithAck('message:send', message).then((it) => it.message.content);`],
  ['waits so long',
    `socket.timeout(9).emit('message:send', message, (error, it) => error?.message ?? it.success);`,
    `socket.timeout(9).emit('message:send', message, (error, it) => error.message);`],
  ['awaits so long', `socket.timeout(9).emitWithAck('message:send', message).then((it) => it.success);`,
    `socket.timeout(9).emitWithAck('message:send', message).then((it) => it.seq);`],
  ['goes where one of the library does',
    `const plain: Socket = socket; const typed: Socket<ServerToClientEvents> = socket; [plain, typed];`,
    `const wrong: Promise<Socket> = socket; wrong;`],
  ['hears what the library tells', `socket.on('disconnect', (reason) => reason.length);`,
    `socket.on('connect', (it: string) => it);`],
  ['has events of the app',
    `interface Heard extends ServerToClientEvents { 'cart:changed': (items: string[]) => void }
     interface Said extends ClientToServerEvents {
       'cart:add': (item: string, ack: (items: string[]) => void) => void;
       'cart:clear': () => void;
     }
     const shop: StoaSocket<Heard, Said> = io('http://localhost:3003');
     shop.on('cart:changed', ([first]) => first?.length);
     shop.on('message:new', ({ content }) => content.length);
     shop.emit('cart:clear');
     shop.emit('cart:add', 'tea', ([first]) => first?.length);
     shop.emitWithAck('cart:add', 'tea').then((items) => items.length);
     shop.emit('message:send', message);`,
    `interface Heard extends ServerToClientEvents { 'cart:changed': (items: string[]) => void }
     (io() as StoaSocket<Heard>).on('cart:changed', (it: number) => it);`],
]) {
  test(`a socket that ${what} is checked`, () => {
    assert.deepEqual(faults(right), []);
    assert.notDeepEqual(faults(wrong), [], `nothing is wrong with ${wrong}`);
  });
}

for (const [typed, proposed] of [
  [`socket.on('`, ['message:new', 'typing:start', 'session:closing']],
  [`socket.emit('`, ['message:send', 'conversation:join']],
  [`socket.timeout(9).emitWithAck('`, ['message:send', 'conversation:join']],
  [`socket.on('message:new', (it) => it.`, ['content', 'conversationId', 'sender']],
  [`socket.emit('message:send', { `, ['conversationId', 'content', 'clientMessageId']],
]) {
  test(`an editor completes ${typed}`, () => {
    const app = `${HEAD}\n${typed}`;
    const all = editor(app).getCompletionsAtPosition(APP, app.length, {});
    const names = all?.entries.map(({ name }) => name) ?? [];
    assert.deepEqual(proposed.filter((name) => !names.includes(name)), []);
  });
}

/** The types of what is sent and of what is answered, each with the examples that the description has. */
test('every example of the description is what its type says', () => {
  const named = (schema) => schema.$ref.split('/').at(-1);
  const examples = Object.values(components.messages).flatMap(({ payload, examples = [] }) =>
    examples.map((example) => [named(payload), JSON.stringify(example.payload)]));
  assert(examples.length > 60, 'the examples were not found');
  const types = [...new Set(examples.map(([type]) => type))].join(', ');
  const app = (examples) => `import type { ${types} } from './events';
    ${examples.map(([type, value], at) => `export const e${at}: ${type} = ${value};`).join('\n')}`;
  assert.deepEqual(faults(app(examples)), []);
  const wrong = examples.map(([type, value]) => [type, type === 'UserOnline' ? '{"userId": 1}' : value]);
  assert.equal(faults(app(wrong)).length, 1, 'one that is not is found');
});
