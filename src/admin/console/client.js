// A user of the playground: a token that lives for minutes, and the real client of Socket.IO.

import { call } from './api.js';
import { eventFields, field } from './catalogue.js';
import { element, keep, panel, say, showProblem } from './element.js';
import { makeFrames } from './frames.js';

const LIFE_SECONDS = 900;
const ACK_MS = 10_000;
const FILES = ['socket.io.esm.min.js', 'socket.io.js'];
const SPEAKS = [['conversation', '/'], ['conversation', '/chat'], ['marketplace', '/'], ['marketplace', '/marketplace']];
const ROLES = [['', 'none: buys and sells'], ['user', 'user'], ['buyer', 'buyer'], ['seller', 'seller'], ['admin', 'admin: for an API key to give']];

// How a dialect's clients enter and leave a room: what its name begins with, then both events.
const DOORS = {
  conversation: [['conversation:', 'conversation:join', 'conversation:leave']],
  marketplace: [
    ['chat-', 'join-chat-room', 'leave-chat-room'],
    ['request-', 'join-request-room', 'leave-request-room'],
    ['template-checkout-', 'join-checkout-room', 'leave-checkout-room'],
    ['seller-', 'join-seller-room', 'leave-seller-room'],
    ['buyer-', 'join-buyer-room', 'leave-buyer-room'],
    ['user-', 'join-user-room', null],
  ],
};

const failure = (title, detail) => ({ title, detail, errors: [] });

// The client that the server hands to pages. The console loads nothing from elsewhere: not from its makers', either.
async function loadClient() {
  for (const file of FILES) {
    const url = new URL(`socket.io/${file}`, document.baseURI);
    const { ok } = await fetch(url, { method: 'HEAD', redirect: 'manual' });
    if (ok) return (await import(url)).io ?? globalThis.io;
  }
  throw failure('This server has no client to give.',
    'Set STOA_REALTIME__CLIENT_DIR to a folder with the files of socket.io-client (its dist, from npm), and start the server again. The container image has it.');
}

async function mint({ user, role, rooms }) {
  const body = {
    userId: user, ttlSeconds: LIFE_SECONDS,
    ...(role && { roles: [role] }),
    ...(rooms.length && { rooms }),
  };
  return (await call('api/auth/tokens', { method: 'POST', body: JSON.stringify(body) })).token;
}

// `query` may name a room that the token allows; `catalogue` is awaited.
export function makeClient({ query, status, catalogue }) {
  const mayMint = status.caller.roles.includes('service');
  let [socket, entered, turn] = [null, [], 0];
  const frames = makeFrames();
  const answer = element('div', { attributes: { role: 'alert' } });

  const user = element('input', { value: 'playground', maxLength: 128 });
  const speaks = element('select', {}, ...SPEAKS.map(([dialect, namespace], at) =>
    element('option', { value: at, textContent: `${dialect} dialect, on ${namespace}` })));
  const role = element('select', {}, ...ROLES.map(([value, textContent]) => element('option', { value, textContent })));
  const rooms = element('input', { value: query.get('room') ?? '', placeholder: 'conversation:c1, chat-c1' });
  const token = element('input', { type: 'password', autocomplete: 'one-time-code' });
  const own = element('details', { open: !mayMint }, element('summary', { textContent: 'With a token of your own' }),
    field('client-token', 'Token', token), element('p', { className: 'hint', textContent: 'It says who they are: nothing is minted then. It stays in this tab.' }));
  const minted = element('fieldset', { disabled: !mayMint }, element('div', { className: 'pair' }, field('client-user', 'User', user), field('client-role', 'Role', role)),
    field('client-rooms', 'Rooms that the token lets them into', rooms));
  const button = element('button', { className: 'primary', textContent: 'Connect' });
  const state = element('p', { className: 'state', attributes: { role: 'status', 'data-state': 'unknown' }, textContent: 'not connected' });
  const about = mayMint
    ? `Their token lives ${LIFE_SECONDS / 60} minutes and may no more than you choose; that you made it is in the log.`
    : 'Making a token needs the role service: paste one.';
  // Out of the way once they are there.
  const who = element('fieldset', {}, minted, element('p', { className: 'hint', textContent: about }), field('client-speaks', 'Speaks', speaks), own);
  const start = element('form', { ariaLabel: 'Who connects', onsubmit: connect }, who, element('div', { className: 'actions' }, button, state));

  const room = element('input', { required: true, maxLength: 256 });
  const where = element('p', { id: 'client-room-about', className: 'hint' });
  room.setAttribute('aria-describedby', where.id);
  const entry = field('client-room', 'Room', room);
  entry.append(element('div', { className: 'inline' }, room, element('button', { textContent: 'Join' })), where);
  const chips = element('ul', { className: 'chips', ariaLabel: 'Rooms that they joined' });
  const join = element('form', { ariaLabel: 'Join a room', onsubmit(event) {
    event.preventDefault();
    go(room.value.trim(), true);
  } }, element('fieldset', {}, entry, chips));

  const says = eventFields('client', { name: 'What they say', data: 'Argument, as JSON', about: ({ summary }) => summary });
  const emit = element('form', { ariaLabel: 'Say something', onsubmit(event) {
    event.preventDefault();
    const raw = says.read();
    if (raw !== null) ask(says.event.value, ...(raw ? [JSON.parse(raw)] : []));
  } }, element('fieldset', {}, ...says.fields, element('div', { className: 'actions' }, element('button', { textContent: 'Emit' }))));
  emit.addEventListener('keydown', (pressed) => {
    if (pressed.key !== 'Enter' || !(pressed.ctrlKey || pressed.metaKey)) return;
    pressed.preventDefault();
    emit.requestSubmit();
  });

  const spoken = () => SPEAKS[Number(speaks.value)];

  function show(kind, words) {
    state.dataset.state = kind;
    say(state, words);
    say(button, socket ? 'Disconnect' : 'Connect');
    if (socket && who.contains(document.activeElement)) button.focus();
    who.hidden = Boolean(socket);
    join.firstChild.disabled = emit.firstChild.disabled = kind !== 'ok';
    if (kind !== 'ok') entered = [];
    keep(chips, entered, (name) => name, (name) => element('li', {}, element('span', { className: 'mono', textContent: name }),
      element('button', { type: 'button', className: 'quiet', ariaLabel: `Leave ${name}`, textContent: 'Leave', onclick: () => go(name, false) })), () => {});
  }

  // Emits and shows the acknowledgement; gives it, or nothing where none came.
  async function ask(event, ...args) {
    try {
      const said = await socket.timeout(ACK_MS).emitWithAck(event, ...args);
      frames.add('ack', event, said);
      return said;
    } catch {
      frames.add('state', `no answer to ${event} within ${ACK_MS / 1000} seconds`);
      return null;
    }
  }

  // Into a room, or out of it.
  async function go(name, enters) {
    const [dialect] = spoken();
    const door = DOORS[dialect].find(([begins]) => name.startsWith(begins));
    const event = door?.[enters ? 1 : 2];
    if (!event) {
      showProblem(answer, failure(enters ? 'No client enters it so.' : 'No client leaves it.',
        `Clients of the ${dialect} dialect join ${DOORS[dialect].map(([begins]) => `${begins}<id>`).join(', ')}.`));
      return;
    }
    const mine = socket;
    const said = await ask(event, name.slice(door[0].length));
    if (mine !== socket) return;
    showProblem(answer, said?.success === false ? failure(`${enters ? 'Not let into' : 'Not out of'} ${name}.`, `${said.error} (${said.code})`) : null);
    if (said?.success) entered = [...entered.filter((other) => other !== name), ...(enters ? [name] : [])];
    show('ok', state.textContent);
  }

  function open(io, token, as) {
    const [, namespace] = spoken();
    const path = new URL('socket.io/', document.baseURI).pathname;
    const mine = io(`${location.origin}${namespace}`, { path, auth: { token }, forceNew: true });
    socket = mine;
    // It tries again by itself, or it is over.
    const lost = () => {
      if (socket !== mine) return;
      if (mine.active) show('unknown', 'trying again');
      else end();
    };
    mine.onAny((event, ...args) => frames.add('in', event, ...args));
    mine.onAnyOutgoing((event, ...args) => frames.add('out', event, ...args));
    mine.on('connect', () => {
      frames.add('state', mine.recovered ? 'connected again, with its rooms' : 'connected', { id: mine.id, namespace });
      showProblem(answer, null);
      show('ok', `connected on ${namespace}${as}`);
    });
    mine.on('connect_error', ({ message }) => {
      frames.add('state', 'connect_error', message);
      showProblem(answer, failure(mine.active ? 'No connection.' : 'The server refused.', message));
      lost();
    });
    mine.on('disconnect', (reason) => {
      frames.add('state', 'disconnected', reason);
      lost();
    });
    show('unknown', 'connecting');
  }

  function end() {
    turn += 1;
    const over = socket;
    socket = null;
    over?.disconnect();
    show('unknown', 'not connected');
  }

  async function connect(submitted) {
    submitted.preventDefault();
    if (socket) {
      end();
      return;
    }
    const mine = ++turn;
    showProblem(answer, null);
    button.setAttribute('aria-busy', 'true');
    try {
      const io = await loadClient();
      const asked = { user: user.value.trim(), role: role.value, rooms: rooms.value.split(/[\s,]+/).filter(Boolean) };
      const own = token.value.trim();
      const good = own || await mint(asked);
      if (mine === turn && !socket) open(io, good, own ? '' : ` as ${asked.user}`);
    } catch (problem) {
      if (mine !== turn) return;
      if (problem.code === 'no_signing_key') own.open = true;
      showProblem(answer, problem.errors ? problem : failure('The client could not be loaded.', problem.message));
    } finally {
      button.removeAttribute('aria-busy');
    }
  }

  function heed() {
    const [dialect] = spoken();
    say(where, `${DOORS[dialect].map(([begins]) => `${begins}<id>`).join(', ')}`);
    catalogue.then(({ heard }) => says.knows(new Map([...heard].filter(([, { 'x-socketio': is }]) =>
      is.dialect === dialect || !(is.dialect in DOORS)))), says.fails);
  }

  speaks.addEventListener('change', heed);
  room.value = query.get('room') ?? '';
  const speaker = SPEAKS.findIndex(([dialect]) => DOORS[dialect].some(([begins]) => room.value.startsWith(begins)));
  speaks.value = String(Math.max(0, speaker));
  user.required = mayMint;
  token.required = !mayMint;
  heed();
  show('unknown', 'not connected');
  return {
    panel: panel('A client', { about: 'the real one, as a user you make' }, start, answer, join, emit, element('div', {}, ...frames.parts)),
    close: end,
  };
}
