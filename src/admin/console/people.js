// Who is connected, on whichever node, and what may be done about it.

import { go, here, hrefOf } from './address.js';
import { call } from './api.js';
import { askTwice } from './dialog.js';
import { element, keep, moment, panel, say, table } from './element.js';
import { duration, many } from './words.js';

export const path = 'people';
export const title = 'People';

const PAGE = 50;
const TYPING_MS = 250;
const SINCE = [['', 'whenever'], ['5', 'in the last 5 minutes'], ['60', 'in the last hour'], ['1440', 'in the last day']];

const json = (body) => ({ method: 'POST', body: JSON.stringify(body) });
const userPath = (user) => `api/users/${encodeURIComponent(user)}`;

// What is done to a user: title, sentence, call.
function deeds(user) {
  return {
    disconnect: {
      title: `Disconnect ${user}?`, action: 'Disconnect',
      sentence: 'All of their sockets are closed, on every node. They may come back at once.',
      fields: [{ name: 'reason', label: 'Reason, for the log', maxLength: 200 }],
      act: ({ reason }) => call(`${userPath(user)}/disconnect`, json(reason ? { reason } : {})),
    },
    block: {
      title: `Block ${user}?`, action: 'Block',
      sentence: 'Their sockets are closed, and no token of theirs is taken any more, for REST and for sockets, until the block ends.',
      typed: user,
      fields: [
        { name: 'hours', label: 'For how many hours', type: 'number', min: 1, max: 87600, hint: 'Without a number until somebody ends it.' },
        { name: 'reason', label: 'Reason', maxLength: 200 },
      ],
      act: ({ hours, reason }) => call(`${userPath(user)}/block`, json({
        ...(hours && { until: new Date(Date.now() + Number(hours) * 3_600_000).toISOString() }),
        ...(reason && { reason }),
      })),
    },
    unblock: {
      title: `End the block of ${user}?`, action: 'End the block',
      sentence: 'They may come back. Tokens that were revoked stay revoked.',
      act: () => call(`${userPath(user)}/block`, { method: 'DELETE' }),
    },
    revoke: {
      title: `Revoke the tokens of ${user}?`, action: 'Revoke tokens',
      sentence: 'All that were issued until now are refused, and their sockets are closed. They have to sign in again.',
      typed: user,
      act: () => call('api/auth/revocations', json({ userId: user })),
    },
  };
}

// What is known of one user, and the buttons.
function makePerson(refresh) {
  const name = element('h3');
  const about = element('p', { className: 'hint' });
  const block = element('p', { className: 'blocked', hidden: true });
  const done = element('p', { className: 'hint', attributes: { role: 'status' } });
  let user = null;
  const button = (deed, label, className = '') => element('button', {
    type: 'button', className, textContent: label,
    async onclick() {
      if (await askTwice(deeds(user)[deed])) {
        say(done, `${label}: done at ${new Date().toLocaleTimeString()}, and logged with your name.`);
        refresh();
      }
    },
  });
  const unblock = button('unblock', 'End the block');
  const send = element('a', { className: 'button', textContent: 'Send an event' });
  const card = element('section', { className: 'panel person', ariaLabel: 'The user', hidden: true },
    element('header', {}, name, about), block,
    element('div', { className: 'deeds' }, send, button('disconnect', 'Disconnect'), unblock,
      button('revoke', 'Revoke tokens', 'danger-quiet'), button('block', 'Block', 'danger-quiet')), done);
  return {
    card,
    async show(asked) {
      card.hidden = !asked;
      if (user !== asked) say(done, '');
      user = asked;
      if (!asked) return;
      say(name, asked);
      send.href = hrefOf('playground', { user: asked });
      const [profile, presence] = await Promise.all([
        call(userPath(asked)).catch((problem) => (problem.status === 404 ? {} : Promise.reject(problem))),
        call(`api/presence/${encodeURIComponent(asked)}`),
      ]);
      if (user !== asked) return;
      const called = [profile.name, profile.email].filter(Boolean).join(' · ');
      const since = presence.lastSeen ? ` since ${new Date(presence.lastSeen).toLocaleString()}` : '';
      say(about, [called, `${presence.status}${since}`].filter(Boolean).join(' · '));
      block.hidden = unblock.hidden = !profile.block;
      if (profile.block) {
        const until = profile.block.until ? `until ${new Date(profile.block.until).toLocaleString()}` : 'until somebody ends it';
        say(block, `Blocked ${until}${profile.block.reason ? `: ${profile.block.reason}` : '.'}`);
      }
    },
  };
}

export function open(at, { query }) {
  let [cursors, next, asked, typing, opened] = [[null], null, 0, 0, null];
  const input = (name, label, is) => element('label', { className: 'filter' }, element('span', { textContent: label }),
    element('input', { name, autocomplete: 'off', spellcheck: false, value: query.get(name) ?? '', ...is }));
  const choice = (name, label, options) => element('label', { className: 'filter' }, element('span', { textContent: label }),
    element('select', { name }, ...options.map(([value, words]) => element('option', { value, textContent: words, selected: (query.get(name) ?? '') === value }))));
  const form = element('form', { className: 'filters', ariaLabel: 'Which sockets', attributes: { role: 'search' } },
    input('user', 'User begins with', { type: 'search', placeholder: '( / )' }),
    input('address', 'Address begins with', { type: 'search' }),
    input('room', 'In the room', { type: 'search' }),
    choice('namespace', 'Namespace', [['', 'any'], ['/', '/'], ['/chat', '/chat'], ['/marketplace', '/marketplace']]),
    choice('transport', 'Transport', [['', 'any'], ['websocket', 'websocket'], ['polling', 'polling']]),
    choice('protocol', 'Client', [['', 'any'], ['4', '3.x and 4.x (EIO 4)'], ['3', '2.x (EIO 3)']]),
    choice('minutes', 'Connected', SINCE));
  const list = table('Sockets', ['User', 'Address', 'Transport', 'Namespace', 'Connected', { title: 'Rooms', number: true }]);
  list.classList.add('stacks');
  const rows = list.tBodies[0];
  const empty = element('p', { className: 'empty', hidden: true });
  const page = element('p', { className: 'hint' });
  const back = element('button', { type: 'button', className: 'quiet', textContent: 'Back', onclick: () => turn(() => cursors.length > 1 && cursors.pop()) });
  const forth = element('button', { type: 'button', className: 'quiet', textContent: 'Next', onclick: () => turn(() => next && cursors.push(next)) });
  const pages = element('footer', { hidden: true }, page, back, forth);
  const partial = element('p', { className: 'hint partial', hidden: true, textContent: 'A node did not answer: these are the others’ alone.' });
  const person = makePerson(() => turn(() => {}));
  const refused = element('div', { attributes: { role: 'status' } });
  at.replaceChildren(form, person.card,
    panel('Sockets', { about: 'on all nodes, the latest first', className: 'list' }, list, empty, partial, pages), refused);

  function filled() {
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    return Object.fromEntries(Object.entries(values).filter(([, value]) => value));
  }

  function makeRow({ id }) {
    const cell = (label, ...inside) => element('td', { attributes: { 'data-label': label } }, ...inside);
    const button = element('button', { type: 'button', className: 'room', onclick: () => { opened = opened === id ? null : id; turn(() => {}); } }, element('span'));
    const number = cell('Rooms');
    number.className = 'number';
    return element('tr', {}, cell('User', button), cell('Address', element('code')), cell('Transport'), cell('Namespace'), cell('Connected'), number);
  }

  function updateRow(row, socket) {
    const [user, address, transport, namespace, since, rooms] = row.cells;
    say(user.firstChild.firstChild, socket.userId ?? 'nobody yet');
    user.firstChild.ariaExpanded = String(socket.id === opened);
    row.classList.toggle('open', socket.id === opened);
    say(address.firstChild, socket.address);
    say(transport, socket.protocol === 3 ? `${socket.transport} · 2.x` : socket.transport);
    say(namespace, socket.namespace);
    const ago = `${duration(Date.now() - Date.parse(socket.since))} ago`;
    if (!since.firstChild) since.append(moment(socket.since));
    say(since.firstChild, ago);
    say(rooms, String(socket.roomCount));
  }

  const makeDetails = ({ of: socket }) => element('tr', { className: 'members' }, element('td', { colSpan: 6 },
    element('ul', { ariaLabel: `Rooms of the socket of ${socket.userId ?? 'nobody'}` }),
    element('p', { className: 'hint' }),
    element('div', { className: 'deeds' },
      element('button', { type: 'button', textContent: 'Only this user', hidden: !socket.userId, onclick: () => go('people', { user: socket.userId }) }),
      element('button', {
        type: 'button', textContent: 'Disconnect this socket',
        async onclick() {
          await askTwice({
            title: 'Disconnect this socket?', action: 'Disconnect',
            sentence: `One socket of ${socket.userId ?? 'somebody'} from ${socket.address} is closed. It may come back at once.`,
            act: () => call(`api/sockets/${socket.id}/disconnect`, { method: 'POST' }),
          });
          turn(() => {});
        },
      }))));

  const putOut = (socket, room) => askTwice({
    title: `Put it out of ${room}?`, action: 'Put out of the room',
    sentence: `This socket of ${socket.userId ?? 'somebody'} leaves the room. It may enter again, unless its right is a grant that you take back on the page of the room.`,
    act: () => call(`api/sockets/${socket.id}/rooms/${encodeURIComponent(room)}`, { method: 'DELETE' }),
  }).then(() => turn(() => {}));

  function updateDetails(row, { of: socket }) {
    const [rooms, about] = row.cells[0].children;
    keep(rooms, socket.rooms, (room) => room, (room) => element('li', {},
      element('a', { href: hrefOf('rooms', { open: room, prefix: room }) }, element('span', { textContent: room })),
      room.startsWith('user-') ? '' : element('button', { type: 'button', className: 'out', textContent: '×', ariaLabel: `Put it out of ${room}`, title: `Put it out of ${room}`, onclick: () => putOut(socket, room) })), () => {});
    const roles = socket.roles.length ? socket.roles.join(', ') : 'no role';
    const ends = socket.expiresAt ? ` · token until ${new Date(socket.expiresAt).toLocaleString()}` : '';
    say(about, `${socket.id} · ${roles}${ends}${socket.roomCount > socket.rooms.length ? ` · the first ${socket.rooms.length} of ${socket.roomCount} rooms` : ''}`);
  }

  function draw({ items, nextCursor, partial: isPartial }) {
    next = nextCursor;
    const shown = items.flatMap((socket) => (socket.id === opened ? [socket, { of: socket }] : [socket]));
    keep(rows, shown, ({ id, of }) => (of ? `details of ${of.id}` : id),
      (item) => (item.of ? makeDetails(item) : makeRow(item)),
      (row, item) => (item.of ? updateDetails(row, item) : updateRow(row, item)));
    empty.hidden = items.length > 0;
    say(empty, Object.keys(filled()).length ? 'Nobody is connected so.' : 'Nobody is connected.');
    partial.hidden = !isPartial;
    pages.hidden = cursors.length === 1 && !next;
    say(page, `Page ${cursors.length} · ${many(items.length, 'socket')}`);
    [back.disabled, forth.disabled] = [cursors.length === 1, !next];
  }

  // An answer that something newer has overtaken is dropped.
  async function refresh() {
    const turn = ++asked;
    const { minutes, ...filter } = filled();
    const asks = new URLSearchParams({ limit: PAGE, ...filter });
    if (minutes) asks.set('since', new Date(Date.now() - Number(minutes) * 60_000).toISOString());
    if (cursors.at(-1)) asks.set('cursor', cursors.at(-1));
    const [found] = await Promise.all([call(`api/sockets?${asks}`), person.show(here().query.get('user'))]);
    if (turn === asked) draw(found);
  }

  function turn(change) {
    change();
    refresh().catch((problem) => say(refused, problem.message));
  }

  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => turn(() => { cursors = [null]; }), TYPING_MS);
  });
  // Who was typed whole is looked at.
  form.addEventListener('change', () => history.replaceState(null, '', hrefOf('people', filled())));
  rows.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !opened) return;
    rows.querySelector('[aria-expanded="true"]')?.focus();
    turn(() => { opened = null; });
  });
  return { refresh, close: () => clearTimeout(typing) };
}
