// Draws openapi.json. Every word of the document goes in as text, never as HTML; of Markdown it knows
// headings, tables and code.

import { start as askWhoCalls } from './credentials.js';
import { byId, element } from './element.js';
import { form } from './try.js';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let document_;

// What a reference is to, with its name.
function resolve(value) {
  const [, , kind, name] = value?.$ref?.split('/') ?? [];
  return name ? { name, ...document_.components?.[kind]?.[name] } : value ?? {};
}

// A line of Markdown: text, and code between backticks.
function line(text) {
  return text.split('`').map((part, at) => at % 2 ? element('code', { text: part }) : part);
}

function row(kind, text) {
  const cells = text.replace(/^\||\|$/g, '').split('|');
  return element('tr', { children: cells.map((cell) =>
    element(kind, { children: line(cell.trim()) })) });
}

function table(text) {
  const [head, , ...rows] = text.split('\n');
  // Wider than a phone, so that it is moved by the keyboard, too.
  return element('table', { tabindex: '0', children: [
    element('thead', { children: [row('th', head)] }),
    element('tbody', { children: rows.map((cells) => row('td', cells)) }),
  ] });
}

// What is said in Markdown.
function prose(text = '') {
  return text.trim().split(/\n{2,}/).filter(Boolean).map((block) => {
    if (block.startsWith('|')) return table(block);
    if (block.startsWith('# ')) return element('h2', { text: block.slice(2) });
    return element('p', { children: line(block.replaceAll('\n', ' ')) });
  });
}

// A schema as a sketch of its JSON; what contains itself is named the second time.
function sketch(schema, indent = '', seen = []) {
  const { name, ...found } = resolve(schema);
  if (name && seen.includes(name)) return name;
  const next = name ? [...seen, name] : seen;
  const deeper = indent + '  ';
  const choices = found.oneOf ?? found.anyOf;
  if (choices) return choices.map((choice) => sketch(choice, indent, next)).join(' | ');
  if (found.allOf) return found.allOf.map((part) => sketch(part, indent, next)).join(' & ');
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(' | ');
  if (found.properties) {
    const required = new Set(found.required);
    const lines = Object.entries(found.properties).map(([key, value]) =>
      `${deeper}${key}${required.has(key) ? '' : '?'}: ${sketch(value, deeper, next)}`);
    return `{\n${lines.join(',\n')}\n${indent}}`;
  }
  const types = [found.type ?? name ?? 'any'].flat();
  return types.map((type) => type === 'array' ? `[${sketch(found.items, indent, next)}]`
    : found.format && type !== 'null' ? `${type} (${found.format})` : type).join(' | ');
}

function definitions(pairs) {
  return element('dl', { children: pairs.flatMap(([term, text]) => [
    element('dt', { children: [element('code', { text: term })] }),
    element('dd', { children: line(text) })]) });
}

function section(title, ...children) {
  return [element('h3', { text: title }), ...children];
}

// What may be wider than the page is reached by the keyboard, too.
function block(text, label, className) {
  return element('pre', { text, className, tabindex: '0', role: 'group', 'aria-label': label });
}

function bodyOf(carrier) {
  const media = Object.values(resolve(carrier).content ?? {})[0];
  const { schema, example } = media ?? {};
  const parts = schema ? [block(sketch(schema), 'Schema')] : [];
  if (example !== undefined) {
    const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
    parts.push(block(text, 'Example', 'example'));
  }
  return parts;
}

// How an operation fails: each code with its status, and when.
function failures(responses) {
  const codes = Object.entries(responses).flatMap(([status, response]) => {
    const media = Object.values(resolve(response).content ?? {})[0];
    return Object.entries(media?.examples ?? {}).map(([code, { summary, value }]) =>
      [`${status} ${code}`, `${summary} “${value.detail}”`]);
  });
  return codes.length ? section('Failures', definitions(codes)) : [];
}

// What a body may be: its example, or an empty object; undefined where there is none.
function exampleOf(body) {
  if (!body) return undefined;
  const { example } = Object.values(resolve(body).content ?? {})[0] ?? {};
  return JSON.stringify(example ?? {}, null, 2);
}

// The form that sends it, made when it is asked for.
function tryIt(method, path, operation, parameters) {
  const summary = element('summary', { text: 'Try it' });
  const made = element('details', { className: 'trial', children: [summary] });
  made.addEventListener('toggle', () => {
    if (made.open && made.children.length === 1) {
      made.append(form(method.toUpperCase(), path, parameters, exampleOf(operation.requestBody)));
    }
  });
  return made;
}

// Whether an operation takes other credentials than all the others.
function credentials(ways) {
  if (!ways) return [];
  const open = ways.every((way) => !Object.keys(way).length);
  return [element('p', { text: open ? 'It needs no credentials.' : 'Credentials are optional.' })];
}

function inside(method, path, operation) {
  const parts = [];
  parts.push(...prose(operation.description), ...credentials(operation.security));
  const parameters = operation.parameters?.map(resolve) ?? [];
  if (parameters.length) {
    parts.push(...section('Parameters', definitions(parameters.map((parameter) => [
      `${parameter.name}${parameter.required ? '' : '?'}`,
      `${parameter.in} · ${sketch(parameter.schema)}${parameter.description ? ` · ${parameter.description}` : ''}`,
    ]))));
  }
  const body = bodyOf(operation.requestBody);
  if (body.length) parts.push(...section('Body', ...body));
  const responses = Object.entries(operation.responses ?? {});
  const [failed, answered] = [[], []];
  for (const response of responses) (response[0] < '400' ? answered : failed).push(response);
  for (const [status, response] of answered) {
    const said = prose(resolve(response).description);
    parts.push(...section(`Answer ${status}`, ...said, ...bodyOf(response)));
  }
  parts.push(...failures(Object.fromEntries(failed)));
  parts.push(tryIt(method, path, operation, parameters));
  return element('div', { className: 'inside', children: parts });
}

function draw(method, path, operation) {
  const what = operation.summary ?? '';
  const summary = element('summary', { children: [
    element('span', { className: `method ${method}`, text: method.toUpperCase() }),
    element('code', { text: path }),
    element('span', { className: 'what', text: what }),
  ] });
  const card = element('details', { children: [summary, inside(method, path, operation)] });
  card.dataset.words = `${method} ${path} ${what} ${operation.description ?? ''}`.toLowerCase();
  return card;
}

function about(tag) {
  return prose(document_.tags?.find(({ name }) => name === tag)?.description);
}

function drawAll() {
  const groups = new Map();
  for (const [path, item] of Object.entries(document_.paths ?? {})) {
    for (const method of METHODS.filter((method) => item[method])) {
      const tag = item[method].tags?.[0] ?? 'other';
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(draw(method, path, item[method]));
    }
  }
  return [...groups].map(([tag, cards]) =>
    element('section', { children: [element('h2', { text: tag }), ...about(tag), ...cards] }));
}

function filter(words) {
  for (const group of document.querySelectorAll('#operations section')) {
    const cards = [...group.querySelectorAll(':scope > details')];
    for (const card of cards) card.hidden = !words.every((word) => card.dataset.words.includes(word));
    group.hidden = cards.every((card) => card.hidden);
  }
}

async function start() {
  const operations = byId('operations');
  askWhoCalls();
  try {
    document_ = await (await fetch('openapi.json')).json();
  } catch {
    operations.replaceChildren(element('p', { text: 'The document could not be loaded.' }));
    return;
  }
  const { title, version, description } = document_.info;
  document.title = document.querySelector('h1').textContent = `${title} API`;
  byId('about').replaceChildren(
    element('p', { text: `Version ${version}.` }), ...prose(description));
  operations.replaceChildren(...drawAll());
  byId('filter').addEventListener('input', ({ target }) =>
    filter(target.value.toLowerCase().split(/\s+/).filter(Boolean)));
}

start();
