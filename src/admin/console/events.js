// Events as they are sent to sockets, on whichever node: what `GET /api/tail` tells of them.

import { hrefOf } from './address.js';
import { listen } from './api.js';
import { element, keep, panel, say, table } from './element.js';
import { bytes, clock, many, number } from './words.js';

export const path = 'events';
export const title = 'Live events';

const MOST = 200;
const TYPING_MS = 400;
const AGAIN_MS = 2000;
const DATA = 120;

const to = ({ rooms, except }) => {
  const heard = rooms ? rooms.join(', ') || 'nobody' : 'everyone';
  return except.length ? `${heard}, but ${except.join(', ')}` : heard;
};

const OUTCOMES = [['', 'any'], ['written', 'written to a socket'], ['nobody', 'nobody was there'], ['dropped', 'dropped for some']];

// What became of it at the sockets of the node that tells.
function outcomeOf({ outcome, sockets }) {
  if (!outcome) return element('span', { className: 'hint', textContent: 'to each what is for them' });
  const wrote = sockets ? `written to ${many(sockets, 'socket')}` : 'written to nobody';
  return element('span', { className: outcome === 'written' ? 'hint' : 'warns', textContent: outcome === 'dropped' ? `${wrote}, dropped for others` : outcome === 'nobody' ? 'nobody was there' : wrote });
}

// What it carries, folded where it is long.
function dataOf({ data, bytes: size }) {
  if (data === undefined) return element('span', { className: 'hint', textContent: `${bytes(size)}, too long to be shown` });
  const text = JSON.stringify(data);
  if (text.length <= DATA) return element('code', { textContent: text });
  return element('details', {}, element('summary', {}, element('code', { textContent: `${text.slice(0, DATA)}…` })),
    element('pre', { tabIndex: 0, textContent: JSON.stringify(data, null, 2) }));
}

function makeRow(told) {
  const cell = (label, ...inside) => element('td', { attributes: { 'data-label': label } }, ...inside);
  if (told.leftOut) {
    return element('tr', { className: 'left-out' }, element('td', { colSpan: 4 }));
  }
  const name = element('a', { href: `api/docs/events#server-${encodeURIComponent(told.event)}`, target: '_blank', rel: 'noopener', title: 'The catalogue, with examples' }, element('code', { textContent: told.event }));
  const kept = told.streams.map((stream) => element('a', { className: 'kept', href: hrefOf('why', { event: stream }), title: 'Who heard it?', textContent: stream }));
  return element('tr', {}, cell('Event', name), cell('At', element('time', { dateTime: told.at, title: told.at, textContent: clock(told.at) })),
    cell('To', element('span', { className: 'mono', textContent: to(told) }), element('p', {}, outcomeOf(told)), ...kept), cell('Data', dataOf(told)));
}

function updateRow(row, { leftOut }) {
  if (leftOut) say(row.cells[0], `${many(leftOut, 'event')} more here: more is sent than is shown.`);
}

export function open(at, { query }) {
  // The latest first.
  let [shown, next, heldAt, typing, failed, ended, drawing] = [[], 0, null, 0, null, null, false];
  const input = (name, label, is) => element('label', { className: 'filter' }, element('span', { textContent: label }),
    element('input', { name, type: 'search', autocomplete: 'off', spellcheck: false, value: query.get(name) ?? '', ...is }));
  const form = element('form', { className: 'filters', ariaLabel: 'Which events', attributes: { role: 'search' } },
    input('event', 'Event, or its start with *', { placeholder: 'message:*  ( / )', maxLength: 128 }),
    input('room', 'For the room', { maxLength: 256 }),
    input('user', 'That this user hears', { maxLength: 128 }),
    element('label', { className: 'filter' }, element('span', { textContent: 'What became of it' }),
      element('select', { name: 'outcome' }, ...OUTCOMES.map(([value, textContent]) =>
        element('option', { value, textContent, selected: value === (query.get('outcome') ?? '') })))));
  const list = table('Live events', ['Event', 'At', 'To', 'Data']);
  list.classList.add('stacks', 'live');
  const empty = element('p', { className: 'empty', textContent: 'Nothing was sent since you look.' });
  const state = element('p', { className: 'hint', attributes: { role: 'status' } });
  const hold = element('button', { type: 'button', textContent: 'Hold', attributes: { 'aria-pressed': 'false' }, onclick: () => {
    heldAt = heldAt === null ? next : null;
    hold.setAttribute('aria-pressed', String(heldAt !== null));
    say(hold, heldAt === null ? 'Hold' : 'Go on');
    draw();
  } });
  const clear = element('button', { type: 'button', className: 'quiet', textContent: 'Clear', onclick: () => { shown = []; draw(); } });
  at.replaceChildren(form, panel('Live events', {
    about: `on all nodes, the latest first; the last ${MOST}`, className: 'list',
    beside: [element('span', { className: 'deeds' }, hold, clear, element('a', { className: 'button', href: 'api/docs/events', textContent: 'The catalogue' }))],
  }, state, list, empty));

  function draw() {
    drawing = false;
    if (heldAt !== null) {
      say(state, next > heldAt ? `Held still: ${number(next - heldAt)} more came since.` : 'Held still.');
      return;
    }
    say(state, '');
    keep(list.tBodies[0], shown, ({ key }) => key, makeRow, updateRow);
    empty.hidden = shown.length > 0;
    list.hidden = !shown.length;
  }

  function heard(name, told) {
    next += 1;
    const last = shown[0];
    if (name === 'left_out' && last?.leftOut) shown[0] = { ...last, leftOut: last.leftOut + told.leftOut };
    else shown = [{ ...told, key: `e${next}` }, ...shown].slice(0, MOST);
    if (!drawing) {
      drawing = true;
      requestAnimationFrame(draw);
    }
  }

  const filled = () => Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value));

  // Listens until another filter is asked for; what ends before is asked for again.
  async function begin() {
    ended?.abort();
    const mine = new AbortController();
    ended = mine;
    const asks = new URLSearchParams(filled());
    while (!mine.signal.aborted) {
      try {
        await listen(`api/tail?${asks}`, mine.signal, heard, () => { failed = null; });
      } catch (problem) {
        if (mine.signal.aborted) return;
        failed = problem;
      }
      await new Promise((resolve) => { setTimeout(resolve, AGAIN_MS); });
    }
  }

  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      history.replaceState(null, '', hrefOf('events', filled()));
      [shown, failed] = [[], null];
      draw();
      begin();
    }, TYPING_MS);
  });
  draw();
  begin();
  return {
    refresh() {
      if (failed) throw failed;
    },
    close() {
      clearTimeout(typing);
      ended.abort();
    },
  };
}
