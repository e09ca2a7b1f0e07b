// Sends an event, with the server's own catalogue at hand.

import { call } from './api.js';
import { byId, element, panel, say, showProblem } from './element.js';

export const path = 'send';
export const title = 'Send';

const NAMESPACES = ['/', '/chat', '/marketplace'];
const KINDS = [['room', 'Room'], ['user', 'User'], ['everyone', 'Everyone']];

let form, target, event, data, confirm, about, dataProblem, answer;
let catalogue = new Map();
let schemas = {};
let sending = false;

// What the server sends by itself: name → message of the AsyncAPI document.
async function loadCatalogue() {
  try {
    const { components } = await call('api/asyncapi.json');
    if (!form.isConnected) return;
    schemas = components.schemas;
    const sent = Object.values(components.messages).filter((message) => message['x-socketio']?.direction === 'serverToClient');
    catalogue = new Map(sent.map((message) => [message.name, message]));
    byId('events').replaceChildren(...[...catalogue.keys()].sort().map((name) => element('option', { value: name })));
    describe();
  } catch {
    if (form.isConnected) say(about, 'The catalogue of events could not be loaded; any name works.');
  }
}

// A value that fits a schema. What contains itself ends at the second time.
function example(schema, seen = []) {
  const name = schema?.$ref?.split('/').pop();
  if (name) return seen.includes(name) ? null : example(schemas[name], [...seen, name]);
  if (!schema) return null;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.enum) return schema.enum[0];
  if ('const' in schema) return schema.const;
  const choice = (schema.oneOf ?? schema.anyOf)?.find(({ type }) => type !== 'null');
  if (choice) return example(choice, seen);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => example(part, seen)));
  const type = [schema.type].flat().find((type) => type !== 'null');
  if (schema.properties || type === 'object') {
    const pairs = Object.entries(schema.properties ?? {});
    return Object.fromEntries(pairs.map(([key, value]) => [key, example(value, seen)]));
  }
  if (type === 'array') return [example(schema.items, seen)];
  if (type === 'string') return schema.format === 'date-time' ? new Date().toISOString() : '…';
  return { integer: 0, number: 0, boolean: false }[type] ?? null;
}

function describe() {
  const message = catalogue.get(event.value);
  const to = message?.['x-socketio'].to;
  say(about, message ? `${message.summary} Usually to ${to}.` : event.value && catalogue.size ? 'Not in the catalogue: an event of your own.' : '');
  byId('example').hidden = !message;
}

// The data as it will be sent, or why it can't be.
function checkData() {
  const text = data.value.trim();
  let problem = '';
  try {
    if (text) JSON.parse(text);
  } catch (error) {
    problem = error.message;
  }
  data.setCustomValidity(problem && 'This is not JSON.');
  data.setAttribute('aria-invalid', String(Boolean(problem)));
  say(dataProblem, problem);
  return problem ? null : text || 'null';
}

function aim() {
  const to = form.elements.to.value;
  const everyone = to === 'everyone';
  byId('target-field').hidden = everyone;
  byId('confirm-field').hidden = !everyone;
  target.required = !everyone;
  confirm.required = everyone;
  confirm.checked = false;
  say(byId('target-label'), to === 'user' ? 'User id' : 'Room name');
  say(byId('emit-button'), everyone ? 'Send to everyone' : 'Send');
}

// The body by hand: what was typed as data goes out as it was typed.
function body(raw) {
  const to = form.elements.to.value;
  const fields = {
    to: to === 'everyone' ? to : { [to]: target.value.trim() },
    event: event.value,
    ...(byId('namespace').value && { namespace: byId('namespace').value }),
    ...(byId('volatile').checked && { volatile: true }),
  };
  return `${JSON.stringify(fields).slice(0, -1)},"data":${raw}}`;
}

async function send(submitted) {
  submitted.preventDefault();
  const raw = checkData();
  if (raw === null || sending) return;
  const [name, button] = [event.value, byId('emit-button')];
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

// Only a service may send (contract of the emit door); others see why they can't.
function allow(roles) {
  const may = roles.includes('service');
  byId('emit-fields').disabled = !may;
  const why = `Sending needs the role service; yours ${roles.length === 1 ? 'is' : 'are'} ${roles.join(', ')}.`;
  answer.replaceChildren(...(may ? [] : [element('p', { className: 'hint', textContent: why })]));
}

const field = (id, label, control, ...more) =>
  element('div', { className: 'field' }, element('label', { htmlFor: id, id: `${id}-label`, textContent: label }), Object.assign(control, { id }), ...more);
const plain = { autocomplete: 'off', spellcheck: false };

function build() {
  const to = KINDS.map(([value, label]) => element('label', {},
    element('input', { type: 'radio', name: 'to', value, checked: value === 'room' }), element('span', { textContent: label })));
  [target, event, data, confirm] = [
    element('input', { required: true, ...plain }),
    element('input', { required: true, maxLength: 128, ...plain, attributes: { list: 'events', 'aria-describedby': 'event-about' } }),
    element('textarea', { rows: 7, ...plain, attributes: { 'aria-describedby': 'data-problem' } }),
    element('input', { id: 'confirm', type: 'checkbox' }),
  ];
  about = element('p', { id: 'event-about', className: 'hint' });
  dataProblem = element('p', { id: 'data-problem', className: 'field-problem', attributes: { role: 'status' } });
  answer = element('div', { id: 'emit-answer', attributes: { role: 'status' } });
  const dataField = field('data', 'Data, as JSON', data, dataProblem);
  const row = element('div', { className: 'label-row' }, dataField.firstChild,
    element('button', { id: 'example', type: 'button', className: 'link', hidden: true, textContent: 'Insert an example', onclick: insertExample }),
    element('button', { type: 'button', className: 'link', textContent: 'Format', onclick: format }));
  dataField.prepend(row);
  const targetField = field('target', 'Room name', target);
  targetField.id = 'target-field';
  const namespaces = NAMESPACES.map((name) => element('option', { textContent: name }));
  form = element('form', { id: 'emit', onsubmit: send }, element('fieldset', { id: 'emit-fields' },
    element('div', { className: 'field' }, element('span', { id: 'to-label', className: 'label', textContent: 'To' }),
      element('div', { className: 'choice', attributes: { role: 'radiogroup', 'aria-labelledby': 'to-label' } }, ...to)),
    targetField,
    element('label', { id: 'confirm-field', className: 'confirm', hidden: true }, confirm, element('span', { textContent: 'Yes, to every socket there is' })),
    field('event', 'Event', event, element('datalist', { id: 'events' }), about),
    dataField,
    element('details', {}, element('summary', { textContent: 'More' }),
      field('namespace', 'Namespace', element('select', {},
        element('option', { value: '', textContent: 'where the room and the event are at home' }), ...namespaces)),
      element('label', { className: 'confirm' }, element('input', { id: 'volatile', type: 'checkbox' }),
        element('span', { textContent: 'Volatile: drop it for sockets that are behind' }))),
    element('div', { className: 'actions' },
      element('button', { id: 'emit-button', className: 'primary', textContent: 'Send' }),
      element('span', { className: 'hint keys', textContent: 'Ctrl + Enter' }))));
  return panel('Send an event', { about: 'as a backend does: POST /api/emit' }, form, answer);
}

function format() {
  if (checkData() && data.value.trim()) data.value = JSON.stringify(JSON.parse(data.value), null, 2);
}

function insertExample() {
  data.value = JSON.stringify(example(catalogue.get(event.value)?.payload), null, 2);
  checkData();
}

// The address may name whom it goes to: `?room=` or `?user=`.
export function open(at, { query, status }) {
  at.replaceChildren(build());
  form.addEventListener('change', ({ target: { name } }) => name === 'to' && aim());
  form.addEventListener('keydown', (pressed) => {
    if (pressed.key === 'Enter' && (pressed.ctrlKey || pressed.metaKey)) {
      pressed.preventDefault();
      form.requestSubmit();
    }
  });
  event.addEventListener('input', describe);
  data.addEventListener('input', checkData);
  const kind = query.has('user') ? 'user' : 'room';
  form.elements.to.value = kind;
  aim();
  target.value = query.get(kind) ?? '';
  allow(status.caller.roles);
  loadCatalogue();
}
