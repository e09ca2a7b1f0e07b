// Makes elements. Every word goes in as text, never as markup.

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

// `is` holds properties (className, textContent, onclick …) and, under `attributes`, attributes.
export function element(name, { attributes = {}, ...is } = {}, ...children) {
  const made = Object.assign(document.createElement(name), is);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Writes only what changed, so that selections and screen readers are left in peace.
export function say(at, text) {
  if (at.textContent !== text) at.textContent = text;
}

// Shows a failure as the server told it, or nothing.
export function showProblem(at, problem) {
  if (!problem) {
    if (at.firstChild) at.replaceChildren();
    return;
  }
  const text = `${problem.title}\n${problem.detail}`;
  if (at.firstChild?.shown === text) return;
  // The sentence of a single field is the problem's own.
  const errors = problem.errors.length > 1 ? problem.errors : [];
  const fields = errors.map(({ pointer, detail }) =>
    element('li', {}, element('code', { textContent: pointer || '/' }), ` ${detail}`));
  const about = [problem.status && `${problem.status}`, problem.code, problem.requestId && `request ${problem.requestId}`];
  at.replaceChildren(element('div', { className: 'problem', shown: text },
    element('strong', { textContent: problem.title }),
    element('p', { textContent: problem.detail }),
    ...(fields.length ? [element('ul', {}, ...fields)] : []),
    element('p', { className: 'hint', textContent: about.filter(Boolean).join(' · ') })));
}

// Brings the children of `parent` into the order of `items`, keeping each key's element: focus and
// what is open survive a refresh.
export function keep(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    known.delete(name);
    if (!child) {
      child = make(item);
      child.dataset.key = name;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    update(child, item);
  }
  for (const gone of known.values()) gone.remove();
}

// A moment, as long ago as it is; all of it under the pointer.
export function moment(iso, words = (date) => date.toLocaleString()) {
  return element('time', { dateTime: iso, title: iso, textContent: words(new Date(iso)) });
}

// A list of names with what they are: text, or an element. What has no value is left out.
export function facts(at, pairs) {
  const told = pairs.filter(([, value]) => value);
  const text = JSON.stringify(told.map(([name, value]) => [name, value.textContent ?? value]));
  if (at.shown === text) return;
  at.shown = text;
  at.replaceChildren(...told.flatMap(([name, value]) => [element('dt', { textContent: name }), element('dd', {}, value)]));
}

// A panel with a title; `beside` stands beside that.
export function panel(title, { about = '', beside = [], className = '' } = {}, ...children) {
  return element('section', { className: `panel ${className}`, ariaLabel: title },
    element('header', {}, element('h3', { textContent: title }), element('p', { className: 'hint', textContent: about }), ...beside),
    ...children);
}

// A table; a column is a title, or a title with `number: true`. Its rows go into its `tBodies[0]`.
export function table(name, columns) {
  const heads = columns.map((column) => (typeof column === 'string' ? { title: column } : column));
  return element('table', { ariaLabel: name },
    element('thead', {}, element('tr', {}, ...heads.map(({ title, number }) =>
      element('th', { scope: 'col', className: number ? 'number' : '', textContent: title })))),
    element('tbody'));
}
