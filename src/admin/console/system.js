// What this server leans on: webhooks, the event proxy, the other nodes, and the store.

import { call } from './api.js';
import { Chart } from './chart.js';
import { askTwice } from './dialog.js';
import { element, facts, keep, moment, panel, say, table } from './element.js';
import { History } from './history.js';
import { nodesPanel, storePanel } from './store.js';
import { many, number } from './words.js';

export const path = 'system';
export const title = 'Webhooks & store';

const CHARTS = [
  ['webhooksBehind', 'Behind', 'events to be told, by webhook'],
  ['store', 'Store', 'units of work, their wait included'],
  ['storeSize', 'Size of the store', ''],
  ['tail', 'From the store to sockets', 'after the commit'],
  ['nodes', 'Nodes', 'whose leases go on'],
];
const PARTS = {
  redis: ['Redis', 'joins the nodes'],
  proxy: ['Event proxy', 'answers events of your own'],
  store: ['Store', 'keeps everything'],
};

const hookPath = (name) => `api/webhook-endpoints/${encodeURIComponent(name)}`;

const replay = (name, since) => askTwice({
  title: `Tell ${name} again?`, action: 'Tell again',
  sentence: 'Every event that was announced since then is told again, in its order, and the webhook is turned on. It may hear of some twice, by the same webhook-id.',
  fields: [{ name: 'since', label: 'Since', required: true, value: since, hint: 'A moment in UTC, such as 2025-11-24T16:00:00.000Z' }],
  act: ({ since }) => call(`${hookPath(name)}/replay`, { method: 'POST', body: JSON.stringify({ since }) }),
});

const retry = (name, failure) => askTwice({
  title: `Tell ${name} of ${failure.type} again?`, action: 'Tell again',
  sentence: `Number ${failure.seq} of ${failure.stream}, by itself. It was tried ${many(failure.attempts, 'time')}.`,
  act: () => call(`${hookPath(name)}/replay`, { method: 'POST', body: JSON.stringify({ ids: [failure.id] }) }),
});

function makeHook(hook, refresh) {
  const state = element('p', { className: 'state' });
  const url = element('code');
  const about = element('dl', { className: 'facts' });
  const failures = element('ul', { className: 'failures', ariaLabel: `What ${hook.name} was not told` });
  const details = element('details', {}, element('summary', { textContent: 'What was put aside' }), failures);
  details.addEventListener('toggle', refresh);
  return element('li', { className: 'panel hook' },
    element('header', {}, element('h4', { textContent: hook.name }), state, url), about, details,
    element('div', { className: 'deeds' }, element('button', {
      type: 'button', textContent: 'Tell again since…',
      onclick: () => replay(hook.name, new Date(Date.now() - 3_600_000).toISOString()).then(refresh),
    })));
}

function updateHook(item, { hook, failures }, refresh) {
  const [header, about, details] = item.children;
  const [, state, url] = header.children;
  state.dataset.state = hook.state;
  say(state, hook.state);
  say(url, hook.url);
  facts(about, [
    ['Behind', many(hook.behindBy, 'event')],
    ['Oldest of them', hook.oldestAt && moment(hook.oldestAt)],
    ['Tried again', many(hook.retrying, 'event')],
    ['Put aside', many(hook.failures, 'event')],
    ['Last told', hook.deliveredAt && moment(hook.deliveredAt)],
    ['Last failure', hook.failedAt && moment(hook.failedAt)],
    ['Why', hook.lastError],
    ['Turned off', hook.offAt && moment(hook.offAt)],
    ['Events', hook.events.join(', ')],
  ]);
  const list = details.lastChild;
  keep(list, failures, ({ id }) => id, (failure) => element('li', {},
    element('code', { textContent: failure.type }), ` ${failure.stream} number ${number(failure.seq)} · ${many(failure.attempts, 'try', 'tries')} · `,
    moment(failure.failedAt), ` · ${failure.lastError} `,
    element('button', { type: 'button', className: 'link', textContent: 'Tell again', onclick: () => retry(hook.name, failure).then(refresh) })), () => {});
}

export function open(at, { status }) {
  const mayAsk = status.caller.roles.includes('admin');
  const history = new History();
  const parts = table('Parts', ['Part', 'State', 'What it is for']);
  const hooks = element('ul', { className: 'hooks', ariaLabel: 'Webhooks' });
  const none = element('p', { className: 'empty', textContent: mayAsk ? 'No webhook is configured (WEBHOOK_URL).' : 'Webhooks are shown to those whose token has the role admin.' });
  const charts = new Map();
  const grid = element('div', { className: 'charts' });
  const [nodes, store] = [nodesPanel(), storePanel()];
  at.replaceChildren(panel('Parts', { about: 'as /readyz tells of them', className: 'list' }, parts), nodes.card, store.card,
    element('h3', { className: 'part', textContent: 'Webhooks' }), hooks, none,
    element('h3', { className: 'part', textContent: 'The last hour of this node' }), grid);

  async function failuresOf({ name }) {
    const open = hooks.querySelector(`[data-key="${CSS.escape(name)}"] details`)?.open;
    return open ? (await call(`${hookPath(name)}/failures?limit=20`)).items : [];
  }

  async function refresh() {
    const [ready, list, news] = await Promise.all([
      fetch('readyz', { credentials: 'omit', cache: 'no-store' }).then((answer) => answer.json()),
      mayAsk ? call('api/webhook-endpoints?limit=100') : { items: [] },
      history.refresh(),
      nodes.refresh(),
      store.refresh(),
    ]);
    const failing = new Set(ready.failing ?? []);
    const told = { store: failing.has('store') ? 'away' : 'ok', ...ready.details };
    keep(parts.tBodies[0], Object.entries(told), ([name]) => name,
      ([name]) => element('tr', {}, element('th', { scope: 'row', textContent: PARTS[name]?.[0] ?? name }),
        element('td', {}, element('span', { className: 'state' })), element('td', { className: 'hint', textContent: PARTS[name]?.[1] ?? '' })),
      (row, [, state]) => {
        row.cells[1].firstChild.dataset.state = state === 'ok' ? 'ok' : 'unavailable';
        say(row.cells[1].firstChild, state);
      });
    const items = await Promise.all(list.items.map(async (hook) => ({ hook, failures: await failuresOf(hook) })));
    const again = () => refresh().catch((problem) => say(none, problem.message));
    keep(hooks, items, ({ hook }) => hook.name, ({ hook }) => makeHook(hook, again), (item, shown) => updateHook(item, shown, again));
    none.hidden = items.length > 0;
    if (news || charts.size === 0) draw();
  }

  function draw() {
    if (!history.times.length) return;
    for (const [name, title, about] of CHARTS) {
      const lines = history.lines(name);
      if (['nodes', 'webhooksBehind'].includes(name) && !lines.some(({ values }) => values.some((value) => value))) continue;
      if (!charts.has(name)) {
        charts.set(name, new Chart(title, about));
        grid.append(charts.get(name).card);
      }
      charts.get(name).show(history.times, lines, history.figures.get(name)?.unit ?? '', history.stepMs);
    }
  }

  return { refresh };
}
