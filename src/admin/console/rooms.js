// The rooms of this node, a page at a time, and who is in the one that is open.

import { call } from './api.js';
import { byId, element, keep, say, showProblem } from './element.js';

const PAGE = 25;
const MEMBERS = 100;
const TYPING_MS = 200;

// The cursors that led here; the first page has none.
let cursors = [null];
let next = null;
let open = null;
let asked = 0;
let actions;

const rooms = byId('rooms');
const prefix = byId('room-prefix');

function toggle(room) {
  open = open === room ? null : room;
  refresh();
}

function makeRow({ room }) {
  const button = element('button', { type: 'button', className: 'room', onclick: () => toggle(room) },
    element('span', { textContent: room }));
  return element('tr', {}, element('td', {}, button),
    element('td', { className: 'number' }), element('td', { className: 'number' }));
}

function updateRow(row, { room, sockets, users }) {
  const [name, socketCell, userCell] = row.cells;
  name.firstChild.setAttribute('aria-expanded', String(room === open));
  row.classList.toggle('open', room === open);
  say(socketCell, String(sockets));
  say(userCell, String(users));
}

function makeMembers({ of: room }) {
  return element('tr', { className: 'members' }, element('td', { colSpan: 3 },
    element('ul', { attributes: { 'aria-label': `Members of ${room}` } }),
    element('p', { className: 'hint' }),
    element('button', { type: 'button', textContent: 'Send to this room', onclick: () => actions.sendTo('room', room) })));
}

function updateMembers(row, { members, size }) {
  const [list, about] = row.cells[0].children;
  const items = members?.items ?? [];
  keep(list, items, ({ userId }) => userId, ({ userId }) => element('li', {}, element('button', {
    type: 'button', title: 'Look up presence', onclick: () => actions.lookUp(userId),
  }, element('span', { textContent: userId }), element('small'))), (item, { sockets }) => {
    say(item.querySelector('small'), sockets > 1 ? `×${sockets}` : '');
  });
  const known = items.reduce((total, { sockets }) => total + sockets, 0);
  const unknown = members && !members.nextCursor ? size.sockets - known : 0;
  const about_ = members?.nextCursor ? `The first ${MEMBERS} of ${size.users} users.`
    : unknown > 0 ? `${unknown} socket${unknown > 1 ? 's' : ''} of nobody known.` : '';
  say(about, about_);
}

// Asks again for what is shown. An answer that something newer has overtaken is dropped.
export async function refresh() {
  const turn = ++asked;
  const query = new URLSearchParams({ limit: PAGE });
  if (prefix.value) query.set('prefix', prefix.value);
  if (cursors.at(-1)) query.set('cursor', cursors.at(-1));
  try {
    const room = open;
    const [list, members] = await Promise.all([
      call(`api/rooms?${query}`),
      room && call(`api/rooms/${encodeURIComponent(room)}/members?limit=${MEMBERS}`),
    ]);
    if (turn !== asked) return null;
    draw(list, members);
    showProblem(byId('rooms-answer'), null);
    return null;
  } catch (problem) {
    if (turn === asked) showProblem(byId('rooms-answer'), problem);
    return problem;
  }
}

function draw({ items, nextCursor }, members) {
  next = nextCursor;
  const shown = items.flatMap((item) => item.room === open ? [item, { of: open, members, size: item }] : [item]);
  keep(rooms, shown, ({ room, of }) => (of ? `members of ${of}` : room),
    (item) => (item.of ? makeMembers(item) : makeRow(item)),
    (row, item) => (item.of ? updateMembers(row, item) : updateRow(row, item)));
  const nothing = prefix.value ? `No room begins with “${prefix.value}”.`
    : cursors.length > 1 ? 'The rooms of this page are gone.' : 'No rooms: nobody is connected.';
  const empty = byId('rooms-empty');
  empty.hidden = items.length > 0;
  say(empty, nothing);
  byId('rooms-pages').hidden = cursors.length === 1 && !next;
  say(byId('rooms-page'), `Page ${cursors.length}`);
  byId('rooms-back').disabled = cursors.length === 1;
  byId('rooms-next').disabled = !next;
}

export function reset() {
  asked += 1;
  [cursors, next, open] = [[null], null, null];
  prefix.value = '';
  rooms.replaceChildren();
}

// `with_` does what a click on a room or a member asks of the other panels.
export function start(with_) {
  actions = with_;
  let typing;
  prefix.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      cursors = [null];
      refresh();
    }, TYPING_MS);
  });
  byId('rooms-next').addEventListener('click', () => {
    if (next) cursors.push(next);
    next = null;
    refresh();
  });
  byId('rooms-back').addEventListener('click', () => {
    if (cursors.length > 1) cursors.pop();
    refresh();
  });
  rooms.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || !open) return;
    const button = rooms.querySelector('[aria-expanded="true"]');
    toggle(open);
    button?.focus();
  });
  document.addEventListener('keydown', (event) => {
    const busy = event.target.closest('input, textarea, select') || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key !== '/' || busy || byId('dashboard').hidden) return;
    event.preventDefault();
    prefix.focus();
  });
}
