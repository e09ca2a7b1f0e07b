// The server's own catalogue of events, and fields that take from it.

import { call } from './api.js';
import { element, say } from './element.js';

// Name → message of the AsyncAPI document: those that the server sends, and those that it hears.
export async function loadCatalogue() {
  const { components } = await call('api/asyncapi.json');
  const all = Object.values(components.messages).filter((message) => message['x-socketio']);
  const of = (direction) => new Map(all.filter((message) => message['x-socketio'].direction === direction).map((message) => [message.name, message]));
  return { sent: of('serverToClient'), heard: of('clientToServer') };
}

const plain = { autocomplete: 'off', spellcheck: false };

export const field = (id, label, control, ...more) =>
  element('div', { className: 'field' }, element('label', { htmlFor: id, id: `${id}-label`, textContent: label }), Object.assign(control, { id, ...plain }), ...more);

// A field for an event's name and one for its data, as JSON that goes out as it was typed. `about` says what is
// to be said of an event of the catalogue.
export function eventFields(id, { name, data, about }) {
  let known = new Map();
  const list = element('datalist', { id: `${id}-names` });
  const told = element('p', { id: `${id}-about`, className: 'hint' });
  const event = element('input', { required: true, maxLength: 128, attributes: { list: list.id, 'aria-describedby': told.id } });
  const problem = element('p', { id: `${id}-problem`, className: 'field-problem', attributes: { role: 'status' } });
  const json = element('textarea', { rows: 5, attributes: { 'aria-describedby': problem.id } });
  const button = (textContent, onclick) => element('button', { type: 'button', className: 'link', textContent, onclick });

  // What was typed, or nothing where that is no JSON.
  function read() {
    const text = json.value.trim();
    let why = '';
    try {
      if (text) JSON.parse(text);
    } catch (error) {
      why = error.message;
    }
    json.setCustomValidity(why && 'This is not JSON.');
    json.setAttribute('aria-invalid', String(Boolean(why)));
    say(problem, why);
    return why ? null : text;
  }

  function write(value) {
    json.value = JSON.stringify(value, null, 2);
    read();
  }

  const example = button('Insert an example', () => write(known.get(event.value).examples[0].payload));
  const format = button('Format', () => read() && write(JSON.parse(json.value)));

  function describe() {
    const message = known.get(event.value);
    say(told, message ? about(message) : event.value && known.size ? 'Not in the catalogue: an event of your own.' : '');
    example.hidden = !message;
  }

  event.addEventListener('input', describe);
  json.addEventListener('input', read);
  const dataField = field(`${id}-data`, data, json, problem);
  dataField.prepend(element('div', { className: 'label-row' }, dataField.firstChild, example, format));
  describe();
  return {
    event,
    fields: [field(`${id}-event`, name, event, list, told), dataField],
    read,
    knows(messages) {
      known = messages;
      list.replaceChildren(...[...known.keys()].sort().map((value) => element('option', { value })));
      describe();
    },
    fails: () => say(told, 'The catalogue of events could not be loaded; any name works.'),
  };
}
