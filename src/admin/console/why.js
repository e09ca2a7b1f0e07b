// Did a user hear an event? The verdict in words, then the facts that it rests on.

import { go, hrefOf } from './address.js';
import { call } from './api.js';
import { element, moment, panel, showProblem, table } from './element.js';

export const path = 'why';
export const title = 'Why';

const GOOD = ['heard', 'recovered', 'replayed', 'written'];
const OPEN = ['waits', 'unknown', 'taken_back'];

const tone = (verdict) => (GOOD.includes(verdict) ? 'done' : OPEN.includes(verdict) ? 'done nobody' : 'problem');

const cell = (label, ...inside) => element('td', { attributes: { 'data-label': label } }, ...inside);
const mono = (text) => element('span', { className: 'mono', textContent: text });

function facts(pairs) {
  return element('dl', { className: 'facts' }, ...pairs.filter(([, value]) => value).flatMap(([name, value]) =>
    [element('dt', { textContent: name }), element('dd', {}, value)]));
}

const all = (list) => (list.length ? list.join(', ') : 'nobody');

function verdictOf({ verdict, says, complete }) {
  return element('div', { className: `verdict ${tone(verdict)}` },
    element('strong', { textContent: says }),
    element('p', { className: 'hint', textContent: complete ? verdict.replace('_', ' ') : `${verdict.replace('_', ' ')} · not everything of that time was noted` }));
}

function eventOf({ event }) {
  const sent = table('What was sent', ['Event', 'For', 'But', 'Namespaces']);
  sent.classList.add('stacks');
  sent.tBodies[0].append(...event.sent.map(({ event: name, rooms, except, exceptUser, namespaces }) => element('tr', {},
    cell('Event', element('code', { textContent: name })), cell('For', mono(rooms ? all(rooms) : 'everyone')),
    cell('But', mono([...except, ...(exceptUser ? [`user-${exceptUser}`] : [])].join(', ') || '–')), cell('Namespaces', mono(namespaces.join(', '))))));
  return panel('The event', {},
    facts([['Numbers', mono(event.streams.map(({ stream, seq }) => `${stream}:${seq}`).join(', '))], ['Position', mono(String(event.position))], ['At', moment(event.createdAt)]]), sent);
}

function socketsOf({ userId, sockets }) {
  if (!sockets.length) return panel('Sockets', {}, element('p', { className: 'empty', textContent: 'None is known of that time or since.' }));
  const list = table('Sockets', ['Socket', 'Outcome', 'What is known', 'Connected', 'Ended']);
  list.classList.add('stacks');
  list.tBodies[0].append(...sockets.map((socket) => element('tr', {},
    cell('Socket', element('code', { textContent: `${socket.id} ${socket.namespace}` })), cell('Outcome', socket.outcome.replace('_', ' ')),
    cell('What is known', socket.says), cell('Connected', moment(socket.cameBackAt ?? socket.connectedAt)),
    cell('Ended', ...(socket.endedAt ? [moment(socket.endedAt), ` (${socket.endedBecause})`] : ['–'])))));
  return panel('Sockets', { about: `of ${userId}, of that time and since`, className: 'list' }, list);
}

export function open(at, { query }) {
  let asked = 0;
  const field = (name, label, hint) => {
    const control = element('input', { id: `why-${name}`, name, required: true, autocomplete: 'off', spellcheck: false, value: query.get(name) ?? '', attributes: { 'aria-describedby': `why-${name}-hint` } });
    return element('div', { className: 'field' }, element('label', { htmlFor: control.id, textContent: label }), control,
      element('p', { id: `why-${name}-hint`, className: 'hint', textContent: hint }));
  };
  const form = element('form', { ariaLabel: 'Who and what' }, element('fieldset', {},
    field('user', 'User', 'The id of the user.'),
    field('event', 'Event', 'The id of an emit, a stream and a number such as conversation/c1:42, or a position.'),
    element('div', { className: 'actions' }, element('button', { className: 'primary', textContent: 'Say why' }))));
  const answer = element('div', { className: 'answer', attributes: { role: 'status' } });
  at.replaceChildren(panel('Did a user hear an event?', { about: 'of every event that is kept', className: 'ask' }, form), answer);

  let failed = null;

  async function ask(query) {
    const mine = ++asked;
    failed = null;
    for (const name of ['user', 'event']) form.elements[name].value = query.get(name) ?? '';
    const [user, event] = [query.get('user'), query.get('event')];
    if (!user || !event) {
      answer.replaceChildren();
      return;
    }
    try {
      const why = await call(`api/why?${new URLSearchParams({ user, event })}`);
      if (mine !== asked) return;
      answer.replaceChildren(verdictOf(why), element('p', { className: 'deeds' },
        element('a', { className: 'button', href: hrefOf('people', { user }), textContent: `Sockets of ${user}` })), eventOf(why), socketsOf(why));
    } catch (problem) {
      if (mine !== asked) return;
      answer.replaceChildren();
      showProblem(answer, problem);
      failed = problem;
    }
  }

  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    const values = Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
    // The same again is asked again.
    if (location.hash === hrefOf('why', values)) ask(new URLSearchParams(values));
    else go('why', values);
  });
  ask(query);
  return {
    moved: ask,
    // What is known is of the past, and asked for once; a session that has ended is told above.
    refresh() {
      if (failed?.status === 401) throw failed;
    },
  };
}
