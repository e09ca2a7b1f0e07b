// Draws openapi.json. Every word of the document goes in as text, never as markup.
'use strict';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
let document_;

function element(name, { className, text, children = [] } = {}) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

function resolve(value) {
  const name = value?.$ref?.split('/').pop();
  return name ? { name, ...document_.components?.schemas?.[name] } : value ?? {};
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
    element('dt', { children: [element('code', { text: term })] }), element('dd', { text })]) });
}

function section(title, ...children) {
  return [element('h3', { text: title }), ...children];
}

function bodyOf(carrier) {
  const media = Object.values(resolve(carrier).content ?? {})[0];
  return media?.schema ? [element('pre', { text: sketch(media.schema) })] : [];
}

function inside(operation) {
  const parts = [];
  if (operation.description) parts.push(element('p', { text: operation.description }));
  const parameters = operation.parameters?.map(resolve) ?? [];
  if (parameters.length) {
    parts.push(...section('Parameters', definitions(parameters.map((parameter) => [
      `${parameter.name}${parameter.required ? '' : '?'}`,
      `${parameter.in} · ${sketch(parameter.schema)}${parameter.description ? ` · ${parameter.description}` : ''}`,
    ]))));
  }
  const body = bodyOf(operation.requestBody);
  if (body.length) parts.push(...section('Body', ...body));
  for (const [status, response] of Object.entries(operation.responses ?? {})) {
    const { description } = resolve(response);
    const title = status === 'default' ? 'Failure' : `Answer ${status}`;
    parts.push(...section(title, element('p', { text: description ?? '' }), ...bodyOf(response)));
  }
  return element('div', { className: 'inside', children: parts });
}

function draw(method, path, operation) {
  const what = operation.summary ?? '';
  const summary = element('summary', { children: [
    element('span', { className: `method ${method}`, text: method.toUpperCase() }),
    element('code', { text: path }),
    element('span', { className: 'what', text: what }),
  ] });
  const card = element('details', { children: [summary, inside(operation)] });
  card.dataset.words = `${method} ${path} ${what} ${operation.description ?? ''}`.toLowerCase();
  return card;
}

// What is said of a group: paragraphs, and tables as they are written.
function about(tag) {
  const { description } = document_.tags?.find(({ name }) => name === tag) ?? {};
  return (description?.trim().split(/\n{2,}/) ?? []).map((text) =>
    element(text.startsWith('|') ? 'pre' : 'p', { text }));
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
    const cards = [...group.querySelectorAll('details')];
    for (const card of cards) card.hidden = !words.every((word) => card.dataset.words.includes(word));
    group.hidden = cards.every((card) => card.hidden);
  }
}

async function start() {
  const operations = document.getElementById('operations');
  try {
    document_ = await (await fetch('openapi.json')).json();
  } catch {
    operations.replaceChildren(element('p', { text: 'The document could not be loaded.' }));
    return;
  }
  const { title, version, description } = document_.info;
  document.title = document.querySelector('h1').textContent = `${title} API`;
  document.getElementById('about').textContent = [`Version ${version}.`, description].join(' ');
  operations.replaceChildren(...drawAll());
  document.getElementById('filter').addEventListener('input', ({ target }) =>
    filter(target.value.toLowerCase().split(/\s+/).filter(Boolean)));
}

start();
