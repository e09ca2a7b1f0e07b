// Sends an event as a backend does.

import { call } from './api.js';
import { eventFields, field } from './catalogue.js';
import { element, panel, say, showProblem } from './element.js';

const NAMESPACES = ['/', '/chat', '/marketplace'];
const KINDS = [['room', 'Room'], ['user', 'User'], ['everyone', 'Everyone']];

// Why who has these roles may not send (contract of the emit door); nothing where they may.
function whyNot(roles) {
  if (roles.includes('service')) return null;
  return `Sending needs the role service; yours ${roles.length === 1 ? 'is' : 'are'} ${roles.join(', ')}.`;
}

// The form. `query` may name whom it goes to, by `room` or `user`; `catalogue` is awaited.
export function makeSend({ query, status, catalogue }) {
  let sending = false;
  const kind = query.has('user') ? 'user' : 'room';
  const to = KINDS.map(([value, label]) => element('label', {},
    element('input', { type: 'radio', name: 'to', value, checked: value === kind }), element('span', { textContent: label })));
  const target = element('input', { value: query.get(kind) ?? '' });
  const targetField = field('target', 'Room name', target);
  const [targetLabel] = targetField.children;
  const says = eventFields('emit', {
    name: 'Event', data: 'Data, as JSON', about: ({ summary, 'x-socketio': { to } }) => `${summary} Usually to ${to}.`,
  });
  const namespace = element('select', {}, element('option', { value: '', textContent: 'where the room and the event are at home' }),
    ...NAMESPACES.map((name) => element('option', { textContent: name })));
  const [volatile, confirm] = [element('input', { type: 'checkbox' }), element('input', { type: 'checkbox' })];
  const confirmField = element('label', { className: 'confirm warned' }, confirm, element('span', { textContent: 'Yes, to every socket there is' }));
  const button = element('button', { className: 'primary', textContent: 'Send' });
  const answer = element('div', { attributes: { role: 'status' } });

  function aim() {
    const everyone = form.elements.to.value === 'everyone';
    targetField.hidden = everyone;
    confirmField.hidden = !everyone;
    target.required = !everyone;
    confirm.required = everyone;
    confirm.checked = false;
    say(targetLabel, form.elements.to.value === 'user' ? 'User id' : 'Room name');
    say(button, everyone ? 'Send to everyone' : 'Send');
  }

  // The body by hand: what was typed as data goes out as it was typed.
  function body(raw) {
    const to = form.elements.to.value;
    const fields = {
      to: to === 'everyone' ? to : { [to]: target.value.trim() },
      event: says.event.value,
      ...(namespace.value && { namespace: namespace.value }),
      ...(volatile.checked && { volatile: true }),
    };
    return `${JSON.stringify(fields).slice(0, -1)},"data":${raw || 'null'}}`;
  }

  async function send(submitted) {
    submitted.preventDefault();
    const [raw, name] = [says.read(), says.event.value];
    if (raw === null || sending) return;
    sending = true;
    button.setAttribute('aria-busy', 'true');
    try {
      const { id, sockets } = await call('api/emit', { method: 'POST', body: body(raw) });
      const many = sockets === 1 ? '1 socket' : `${sockets} sockets`;
      answer.replaceChildren(element('div', { className: sockets ? 'done' : 'done nobody' },
        element('strong', { textContent: sockets ? `${name} went to ${many}` : `${name} was accepted, but nobody on this node was there to hear it` }),
        element('p', { className: 'hint', textContent: `202 · ${new Date().toLocaleTimeString()} · ${id}` })));
    } catch (problem) {
      showProblem(answer, problem);
    } finally {
      confirm.checked = false;
      sending = false;
      button.removeAttribute('aria-busy');
    }
  }

  const why = whyNot(status.caller.roles);
  if (why) answer.append(element('p', { className: 'hint', textContent: why }));
  const form = element('form', { onsubmit: send }, element('fieldset', { disabled: Boolean(why) },
    element('div', { className: 'field' }, element('span', { id: 'to-label', className: 'label', textContent: 'To' }),
      element('div', { className: 'choice', attributes: { role: 'radiogroup', 'aria-labelledby': 'to-label' } }, ...to)),
    targetField, confirmField, ...says.fields,
    element('details', {}, element('summary', { textContent: 'More' }),
      field('emit-namespace', 'Namespace', namespace),
      element('label', { className: 'confirm' }, volatile, element('span', { textContent: 'Volatile: drop it for sockets that are behind' }))),
    element('div', { className: 'actions' }, button, element('span', { className: 'hint keys', textContent: 'Ctrl + Enter' }))));
  form.addEventListener('change', ({ target: { name } }) => name === 'to' && aim());
  form.addEventListener('keydown', (pressed) => {
    if (pressed.key !== 'Enter' || !(pressed.ctrlKey || pressed.metaKey)) return;
    pressed.preventDefault();
    form.requestSubmit();
  });
  aim();
  catalogue.then(({ sent }) => says.knows(sent), says.fails);
  return panel('Send an event', { about: 'as a backend does: POST /api/emit' }, form, answer);
}
