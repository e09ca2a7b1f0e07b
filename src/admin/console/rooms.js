// The rooms that have members, on whichever node, by size or by name; who is in the one that is open, and who
// may enter it.

import { hrefOf } from './address.js';
import { call } from './api.js';
import { askTwice } from './dialog.js';
import { element, keep, panel, say, table } from './element.js';
import { many, number } from './words.js';

export const path = 'rooms';
export const title = 'Rooms';

const PAGE = 25;
const MEMBERS = 100;
const TYPING_MS = 200;
const LARGEST = 50;

const memberPath = (room, user) => `api/rooms/${encodeURIComponent(room)}/members/${encodeURIComponent(user)}`;

const takeBack = (room, user) => askTwice({
  title: `Put ${user} out of ${room}?`, action: 'Put out of the room',
  sentence: 'Their grant is taken back, and their sockets leave the room on every node, as far as they may not be there by another right: as a participant, by their token, or by its kind.',
  act: () => call(memberPath(room, user), { method: 'DELETE' }),
});

const grant = (room) => askTwice({
  title: `Let somebody into ${room}?`, action: 'Grant',
  sentence: 'A user may enter this room from now on, until the grant is taken back. It is kept, and logged with your name.',
  fields: [{ name: 'user', label: 'User id', required: true, maxLength: 128 }],
  act: ({ user }) => call(memberPath(room, user.trim()), { method: 'PUT' }),
});

function makeMembers({ of: room }, refresh) {
  return element('tr', { className: 'members' }, element('td', { colSpan: 3 },
    element('ul', { ariaLabel: `Members of ${room}` }),
    element('p', { className: 'hint' }),
    element('div', { className: 'deeds' },
      element('a', { className: 'button', href: hrefOf('playground', { room }), textContent: 'Send to this room' }),
      element('a', { className: 'button', href: hrefOf('people', { room }), textContent: 'Its sockets' }),
      element('button', { type: 'button', textContent: 'Let somebody in', onclick: () => grant(room).then(refresh) }))));
}

function updateMembers(row, { of: room, members, size }, refresh) {
  const [list, about] = row.cells[0].children;
  const items = members?.items ?? [];
  keep(list, items, ({ userId }) => userId, ({ userId }) => element('li', {},
    element('a', { href: hrefOf('people', { user: userId }) }, element('span', { textContent: userId }), element('small')),
    room.startsWith('user-') ? '' : element('button', {
      type: 'button', className: 'out', textContent: '×', ariaLabel: `Put ${userId} out`, title: `Put ${userId} out`,
      onclick: () => takeBack(room, userId).then(refresh),
    })), (item, { sockets }) => {
    say(item.querySelector('small'), sockets > 1 ? `×${sockets}` : '');
  });
  const known = items.reduce((total, { sockets }) => total + sockets, 0);
  const unknown = members && !members.nextCursor ? size.sockets - known : 0;
  say(about, members?.nextCursor ? `The first ${MEMBERS} of ${number(size.users)} users.`
    : unknown > 0 ? `${many(unknown, 'socket')} of nobody known.` : '');
}

export function open(at, { query }) {
  // The cursors that led here; the first page has none.
  let [cursors, next, opened, asked, typing] = [[null], null, query.get('open'), 0, 0];
  const prefix = element('input', {
    type: 'search', placeholder: 'Name begins with…  ( / )', ariaLabel: 'Show rooms whose name begins with',
    autocomplete: 'off', spellcheck: false, value: query.get('prefix') ?? '',
  });
  const order = element('select', { ariaLabel: 'Order' },
    element('option', { value: 'size', textContent: 'The largest first' }),
    element('option', { value: 'name', textContent: 'By name', selected: query.has('prefix') }));
  const users = element('input', { type: 'checkbox', checked: (query.get('prefix') ?? '').startsWith('user-') });
  const list = table('Rooms', ['Room', { title: 'Sockets', number: true }, { title: 'Users', number: true }]);
  const rows = list.tBodies[0];
  const empty = element('p', { className: 'empty', hidden: true });
  const page = element('p', { className: 'hint' });
  const back = element('button', { type: 'button', className: 'quiet', textContent: 'Back', onclick: () => turn(() => cursors.length > 1 && cursors.pop()) });
  const forth = element('button', { type: 'button', className: 'quiet', textContent: 'Next', onclick: () => turn(() => next && cursors.push(next)) });
  const pages = element('footer', { hidden: true }, page, back, forth);
  at.replaceChildren(panel('Rooms', {
    about: 'with members, on all nodes', className: 'list',
    beside: [element('label', { className: 'confirm' }, users, element('span', { textContent: 'also those of one user' })), order, prefix],
  }, list, empty, pages));

  function makeRow({ room }) {
    const button = element('button', { type: 'button', className: 'room', onclick: () => turn(() => { opened = opened === room ? null : room; }) },
      element('span', { textContent: room }));
    return element('tr', {}, element('td', {}, button),
      element('td', { className: 'number' }), element('td', { className: 'number' }));
  }

  function updateRow(row, { room, sockets, users }) {
    const [name, socketCell, userCell] = row.cells;
    name.firstChild.ariaExpanded = String(room === opened);
    row.classList.toggle('open', room === opened);
    say(socketCell, number(sockets));
    say(userCell, number(users));
  }

  function draw({ items, nextCursor }, members) {
    next = nextCursor;
    const shown = items.flatMap((item) => item.room === opened ? [item, { of: opened, members, size: item }] : [item]);
    keep(rows, shown, ({ room, of }) => (of ? `members of ${of}` : room),
      (item) => (item.of ? makeMembers(item, again) : makeRow(item)),
      (row, item) => (item.of ? updateMembers(row, item, again) : updateRow(row, item)));
    empty.hidden = items.length > 0;
    say(empty, prefix.value ? `No room begins with “${prefix.value}”.`
      : cursors.length > 1 ? 'The rooms of this page are gone.' : users.checked ? 'No rooms: nobody is connected.' : 'No rooms but those of one user.');
    pages.hidden = cursors.length === 1 && !next;
    say(page, `Page ${cursors.length}`);
    [back.disabled, forth.disabled] = [cursors.length === 1, !next];
  }

  // An answer that something newer has overtaken is dropped.
  async function refresh() {
    const [turn, room] = [++asked, opened];
    const bySize = order.value === 'size' && !prefix.value;
    const asks = new URLSearchParams(bySize ? { limit: LARGEST, order: 'size' } : { limit: PAGE });
    if (!users.checked && !prefix.value.startsWith('user-')) asks.set('users', 'false');
    if (prefix.value) asks.set('prefix', prefix.value);
    if (cursors.at(-1) && !bySize) asks.set('cursor', cursors.at(-1));
    const [found, members] = await Promise.all([
      call(`api/rooms?${asks}`),
      room && call(`api/rooms/${encodeURIComponent(room)}/members?limit=${MEMBERS}`),
    ]);
    if (turn === asked) draw(found, members);
  }

  function turn(change) {
    change();
    refresh().catch((problem) => say(empty, problem.message));
  }

  const again = () => turn(() => {});

  for (const choice of [order, users]) choice.addEventListener('change', () => turn(() => { cursors = [null]; }));
  prefix.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => turn(() => { cursors = [null]; }), TYPING_MS);
  });
  rows.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !opened) return;
    rows.querySelector('[aria-expanded="true"]')?.focus();
    turn(() => { opened = null; });
  });
  return { refresh, close: () => clearTimeout(typing) };
}
