// How this node does: what is wrong now, in words; what it is now; and the last hour.

import { call } from './api.js';
import { Chart, formatOf } from './chart.js';
import { element, keep, panel, say } from './element.js';
import { History } from './history.js';

export const path = 'overview';
export const title = 'Overview';

const CHARTS = [
  ['connections', 'Connections', 'by namespace'],
  ['users', 'Users', 'connected to this node'],
  ['eventsIn', 'Events in', 'from clients'],
  ['eventsOut', 'Events out', 'one for each socket'],
  ['broadcasts', 'Broadcasts', 'until the last socket was written to'],
  ['handlers', 'REST handlers', 'until they answered'],
  ['http', 'REST calls', 'by status'],
  ['store', 'Store', 'units of work, their wait included'],
  ['tail', 'From the store to sockets', 'after the commit'],
  ['storeSize', 'Size of the store', ''],
  ['closes', 'Closed by the server', 'in each step, by why'],
  ['refusals', 'Refused', 'in each step, by why'],
  ['memory', 'Memory', 'resident'],
  ['cpu', 'Processor', '100 % is one core'],
];

// Shown once there is something of them.
const ON_DEMAND = [
  ['storeErrors', 'Failures of the store', 'in each step, by why'],
  ['webhooksBehind', 'Webhooks behind', 'events to be told'],
  ['webhooksRetried', 'Webhooks that try again', 'events'],
  ['payouts', 'Payouts under way', ''],
  ['nodes', 'Nodes', ''],
];

const TILES = [
  ['connections', 'Connections'], ['users', 'Users'], ['eventsIn', 'Events in'],
  ['eventsOut', 'Events out'], ['memory', 'Memory'], ['cpu', 'Processor'],
];

function drawTroubles(list, troubles) {
  const shown = troubles.length ? troubles : [{ code: 'fine', severity: 'fine', title: 'Nothing is wrong.', detail: 'Nothing is away, slow, refused more than usual, or put aside.' }];
  keep(list, shown, ({ code, title }) => `${code} ${title}`,
    ({ severity }) => element('li', { className: `trouble ${severity}` }, element('strong'), ' ', element('span')),
    ({ children: [title, detail] }, trouble) => {
      say(title, trouble.title);
      say(detail, trouble.detail);
    });
}

export function open(at, { status }) {
  const history = new History();
  const troubles = element('ul', { className: 'troubles', ariaLabel: 'What is wrong now', attributes: { 'aria-live': 'polite' } });
  const tiles = TILES.map(([name, title]) => {
    const value = element('strong', { textContent: '–' });
    return { name, value, card: element('div', { className: 'tile' }, element('dt', { textContent: title }), element('dd', {}, value)) };
  });
  const charts = new Map();
  const grid = element('div', { className: 'charts' });
  const waits = element('p', { className: 'hint', textContent: 'The first figures are there a second after the start.' });
  at.replaceChildren(panel('Now', { className: 'now' }, troubles),
    element('dl', { className: 'tiles' }, ...tiles.map(({ card }) => card)),
    element('h3', { className: 'part', textContent: 'The last hour of this node' }), waits, grid);
  drawTroubles(troubles, status.troubles);

  function draw() {
    waits.hidden = history.times.length > 0;
    if (!waits.hidden) return;
    for (const { name, value } of tiles) {
      const last = history.last(name);
      say(value, last === null ? '–' : formatOf(history.figures.get(name).unit)(last));
    }
    const wanted = ON_DEMAND.filter(([name]) => history.lines(name).some(({ values }) => values.some((value) => value)));
    for (const [name, title, about] of [...CHARTS, ...wanted]) {
      if (!charts.has(name)) {
        charts.set(name, new Chart(title, about));
        grid.append(charts.get(name).card);
      }
      const { unit = '' } = history.figures.get(name) ?? {};
      charts.get(name).show(history.times, history.lines(name), unit, history.stepMs);
    }
  }

  return {
    async refresh() {
      const [told, news] = await Promise.all([call('api/status'), history.refresh()]);
      drawTroubles(troubles, told.troubles);
      if (news || charts.size === 0) draw();
    },
  };
}
