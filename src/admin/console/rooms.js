// The rooms that have members, on whichever node, a page at a time, and who is in the one that is open.

import { hrefOf } from './address.js';
import { call } from './api.js';
import { element, keep, panel, say, table } from './element.js';
import { many, number } from './words.js';

export const path = 'rooms';
export const title = 'Rooms';

const PAGE = 25;
const MEMBERS = 100;
const TYPING_MS = 200;

function makeMembers({ of: room }) {
  return element('tr', { className: 'members' }, element('td', { colSpan: 3 },
    element('ul', { ariaLabel: `Members of ${room}` }),
    element('p', { className: 'hint' }),
    element('a', { className: 'button', href: hrefOf('send', { room }), textContent: 'Send to this room' })));
}

function updateMembers(row, { members, size }) {
  const [list, about] = row.cells[0].children;
  const items = members?.items ?? [];
  keep(list, items, ({ userId }) => userId, ({ userId }) => element('li', {},
    element('a', { href: hrefOf('people', { user: userId }) }, element('span', { textContent: userId }), element('small'))), (item, { sockets }) => {
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
  const list = table('Rooms', ['Room', { title: 'Sockets', number: true }, { title: 'Users', number: true }]);
  const rows = list.tBodies[0];
  const empty = element('p', { className: 'empty', hidden: true });
  const page = element('p', { className: 'hint' });
  const back = element('button', { type: 'button', className: 'quiet', textContent: 'Back', onclick: () => turn(() => cursors.length > 1 && cursors.pop()) });
  const forth = element('button', { type: 'button', className: 'quiet', textContent: 'Next', onclick: () => turn(() => next && cursors.push(next)) });
  const pages = element('footer', { hidden: true }, page, back, forth);
  at.replaceChildren(panel('By name', { about: 'on all nodes', beside: [prefix], className: 'list' }, list, empty, pages));

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
      (item) => (item.of ? makeMembers(item) : makeRow(item)),
      (row, item) => (item.of ? updateMembers(row, item) : updateRow(row, item)));
    empty.hidden = items.length > 0;
    say(empty, prefix.value ? `No room begins with “${prefix.value}”.`
      : cursors.length > 1 ? 'The rooms of this page are gone.' : 'No rooms: nobody is connected.');
    pages.hidden = cursors.length === 1 && !next;
    say(page, `Page ${cursors.length}`);
    [back.disabled, forth.disabled] = [cursors.length === 1, !next];
  }

  // An answer that something newer has overtaken is dropped.
  async function refresh() {
    const [turn, room] = [++asked, opened];
    const asks = new URLSearchParams({ limit: PAGE });
    if (prefix.value) asks.set('prefix', prefix.value);
    if (cursors.at(-1)) asks.set('cursor', cursors.at(-1));
    const [found, members] = await Promise.all([
      call(`api/rooms?${asks}`),
      room && call(`api/rooms/${encodeURIComponent(room)}/members?limit=${MEMBERS}`),
    ]);
    if (turn === asked) draw(found, members);
  }

  function turn(change) {
    change();
    refresh().catch(() => {});
  }

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
