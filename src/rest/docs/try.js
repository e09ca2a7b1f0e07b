// A form that sends an operation to the server that described it, and shows what was answered.

import { credential } from './credentials.js';
import { element } from './element.js';

const TIMEOUT_MS = 30_000;

// Of an answer that is longer, the rest is left out.
const SHOWN = 100_000;

// What of an answer's headers is of interest.
const TOLD = ['retry-after', 'x-request-id'];

let made = 0;

function field(label, control) {
  control.id = `try-${made++}`;
  return element('div', { className: 'field', children: [
    element('label', { text: label, for: control.id }), control] });
}

// A field for each parameter, with what goes into the request from it.
function fieldsOf(parameters) {
  return parameters.map((parameter) => {
    const example = parameter.in === 'path' ? parameter.example : undefined;
    const control = element('input', { autocomplete: 'off', spellcheck: 'false', ...(parameter.required && { required: '' }) });
    if (example !== undefined) control.value = example;
    const label = parameter.in === 'path' ? parameter.name : `${parameter.name} (${parameter.in})`;
    return { parameter, control, row: field(label, control) };
  });
}

// As a shell takes it: nothing in single quotes means anything but the quote itself.
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

function asCommand({ method, url, headers, body }) {
  const shown = headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`);
  const data = body === undefined ? [] : [`--data ${quoted(body)}`];
  const verb = method === 'GET' ? [] : [`-X ${method}`];
  return [`curl ${[...verb, quoted(url.href)].join(' ')}`, ...shown, ...data].join(' \\\n  ');
}

// What the fields make up.
function request(method, path, fields, body) {
  const headers = [];
  const query = [];
  let at = path;
  for (const { parameter, control } of fields) {
    const value = control.value.trim();
    if (parameter.in === 'path') at = at.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value && parameter.in === 'query') query.push([parameter.name, value]);
    else if (value && parameter.in === 'header') headers.push([parameter.name, value]);
  }
  // The document is below the API's own path, wherever a proxy may have put that.
  const url = new URL(`..${at}`, document.baseURI);
  for (const pair of query) url.searchParams.append(...pair);
  const shown = credential();
  if (shown) headers.push(shown);
  const text = body?.value.trim();
  if (text) headers.push(['Content-Type', 'application/json']);
  return { method, url, headers, body: text || undefined };
}

async function send({ method, url, headers, body }) {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(url, { method, headers, body, signal, credentials: 'omit', cache: 'no-store' });
  const told = TOLD.filter((name) => answer.headers.has(name)).map((name) => `${name}: ${answer.headers.get(name)}`);
  let text = await answer.text();
  try {
    text = JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    // Not JSON: as it came.
  }
  if (text.length > SHOWN) text = `${text.slice(0, SHOWN)}\n… and ${text.length - SHOWN} more characters`;
  return { status: `${answer.status} ${answer.statusText}`.trim(), ok: answer.ok, told, text };
}

// The form of an operation; `example` is what its body may be, where it takes one.
export function form(method, path, parameters, example) {
  const fields = fieldsOf(parameters.filter((parameter) => parameter.in !== 'cookie'));
  const takesBody = example !== undefined;
  const body = takesBody ? element('textarea', { rows: '8', spellcheck: 'false' }) : undefined;
  if (body) body.value = example;
  const status = element('p', { role: 'status' });
  const output = element('div', { className: 'output' });
  const command = element('button', { type: 'button', text: 'As a command' });
  const button = element('button', { className: 'primary', text: `Send ${method}` });
  const block = (text, label) => element('pre', { text, tabindex: '0', role: 'region', 'aria-label': label });
  command.addEventListener('click', () => {
    status.textContent = 'As a command:';
    output.replaceChildren(block(asCommand(request(method, path, fields, body)), `${method} ${path} as a command`));
  });
  const made = element('form', { className: 'try', 'aria-label': `Try ${method} ${path}`, children: [
    ...fields.map(({ row }) => row), ...(body ? [field('Body', body)] : []),
    element('div', { className: 'row', children: [button, command] }), status, output] });
  made.addEventListener('submit', async (event) => {
    event.preventDefault();
    button.disabled = true;
    status.className = '';
    status.textContent = 'Sent…';
    output.replaceChildren();
    try {
      const answer = await send(request(method, path, fields, body));
      status.textContent = [answer.status, ...answer.told].join(' · ');
      status.className = answer.ok ? 'good' : 'bad';
      if (answer.text) output.replaceChildren(block(answer.text, `Answer of ${method} ${path}`));
    } catch ({ name }) {
      status.className = 'bad';
      status.textContent = name === 'TimeoutError' ? 'The server did not answer in time.' : 'The server can’t be reached.';
    }
    button.disabled = false;
  });
  return made;
}
