// Makes elements. Every word goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

export function element(name, { className, text, children = [], ...attributes } = {}) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
