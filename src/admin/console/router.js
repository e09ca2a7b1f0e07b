// Which page is shown: the address says so, so that it can be kept and sent.

import { here, hrefOf } from './address.js';
import { byId, element, showProblem } from './element.js';
import { PAGES } from './pages.js';

let shown = null;
let status = null;

function follow({ takesFocus }) {
  if (!status) return;
  const { path, query } = here();
  const page = PAGES.find((page) => page.path === path) ?? PAGES[0];
  if (shown?.page === page && shown.does.moved) {
    shown.does.moved(query);
    return;
  }
  shown?.does.close?.();
  const title = element('h2', { className: 'page-title', tabIndex: -1, textContent: page.title });
  const problem = element('div', { className: 'page-problem', attributes: { role: 'alert' } });
  const at = element('div', { className: `page-${page.path}` });
  byId('page').replaceChildren(title, problem, at);
  document.title = `${page.title} · Stoa`;
  for (const link of byId('page-links').querySelectorAll('a')) {
    if (link.hash === hrefOf(page.path)) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  byId('page-links').querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' });
  shown = { page, problem, does: page.open(at, { query, status }) ?? {} };
  if (takesFocus) {
    title.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  refresh();
}

// The page asks again for what it shows. Gives the failure where the credential is no longer good.
export async function refresh() {
  const at = shown;
  try {
    await at?.does.refresh?.();
    if (at) showProblem(at.problem, null);
  } catch (problem) {
    if (problem.status === 401) return problem;
    if (at === shown) showProblem(at.problem, problem.title ? problem : { title: 'The page failed.', detail: problem.message, errors: [] });
  }
  return null;
}

export function openPages(told) {
  status = told;
  byId('pages').hidden = false;
  follow({ takesFocus: true });
}

export function closePages() {
  shown?.does.close?.();
  [shown, status] = [null, null];
  byId('pages').hidden = true;
  byId('page').replaceChildren();
  document.title = 'Stoa console';
}

export function start() {
  byId('page-links').replaceChildren(...PAGES.map(({ path, title }) =>
    element('li', {}, element('a', { href: hrefOf(path), textContent: title }))));
  addEventListener('hashchange', () => follow({ takesFocus: true }));
  // Not by the address, which says where one is.
  byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    byId('main').focus();
  });
  document.addEventListener('keydown', (event) => {
    const busy = event.target.closest('input, textarea, select, dialog') || event.ctrlKey || event.metaKey || event.altKey;
    const search = byId('page').querySelector('input[type="search"]');
    if (event.key !== '/' || busy || !search) return;
    event.preventDefault();
    search.focus();
  });
}
