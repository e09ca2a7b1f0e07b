// Sends an event, with the server's own catalogue at hand.

import { call } from './api.js';
import { byId, element, say, showProblem } from './element.js';

const form = byId('emit');
const [target, event, data, confirm] = ['target', 'event', 'data', 'confirm'].map(byId);
const [about, dataProblem, answer] = ['event-about', 'data-problem', 'emit-answer'].map(byId);
let catalogue = new Map();
let schemas = {};
let sending = false;

// What the server sends by itself: name → message of the AsyncAPI document.
export async function loadCatalogue() {
  try {
    const { components } = await call('api/asyncapi.json');
    schemas = components.schemas;
    const sent = Object.values(components.messages).filter((message) => message['x-socketio']?.direction === 'serverToClient');
    catalogue = new Map(sent.map((message) => [message.name, message]));
    byId('events').replaceChildren(...[...catalogue.keys()].sort().map((name) => element('option', { value: name })));
    describe();
  } catch {
    say(about, 'The catalogue of events could not be loaded; any name works.');
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

// Points the form at a room or a user.
export function sendTo(kind, name) {
  form.elements.to.value = kind;
  aim();
  target.value = name;
  const next = event.value ? data : event;
  next.focus();
  next.scrollIntoView({ block: 'nearest' });
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
export function allow(roles) {
  const may = roles.includes('service');
  byId('emit-fields').disabled = !may;
  const why = `Sending needs the role service; yours ${roles.length === 1 ? 'is' : 'are'} ${roles.join(', ')}.`;
  answer.replaceChildren(...(may ? [] : [element('p', { className: 'hint', textContent: why })]));
}

export function reset() {
  form.reset();
  aim();
  checkData();
  describe();
  answer.replaceChildren();
}

export function start() {
  form.addEventListener('submit', send);
  form.addEventListener('change', ({ target: { name } }) => name === 'to' && aim());
  form.addEventListener('keydown', (pressed) => {
    if (pressed.key === 'Enter' && (pressed.ctrlKey || pressed.metaKey)) {
      pressed.preventDefault();
      form.requestSubmit();
    }
  });
  event.addEventListener('input', describe);
  data.addEventListener('input', checkData);
  byId('format').addEventListener('click', () => {
    if (checkData() && data.value.trim()) data.value = JSON.stringify(JSON.parse(data.value), null, 2);
  });
  byId('example').addEventListener('click', () => {
    data.value = JSON.stringify(example(catalogue.get(event.value)?.payload), null, 2);
    checkData();
  });
  aim();
}
