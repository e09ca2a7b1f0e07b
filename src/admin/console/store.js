// The nodes, and the store by table: panels of the page about what this server leans on.

import { call } from './api.js';
import { element, keep, moment, panel, say, table } from './element.js';
import { bytes, duration, many, number } from './words.js';

// How often the store is weighed: that takes a reader of it.
const WEIGH_MS = 60_000;

const cell = (label, className = '') => element('td', { className, attributes: { 'data-label': label } });

export function nodesPanel() {
  const rows = table('Nodes', ['Node', 'Version', 'Since', { title: 'Sockets', number: true }, { title: 'Lag', number: true }]);
  rows.classList.add('stacks');
  const partial = element('p', { className: 'hint partial', hidden: true, textContent: 'A node did not answer: these are the others alone.' });
  return {
    card: panel('Nodes', { about: 'as each says of itself; joined by REDIS_URL', className: 'list' }, rows, partial),
    async refresh() {
      const told = await call('api/nodes');
      partial.hidden = !told.partial;
      keep(rows.tBodies[0], told.items, ({ name, since }) => `${name} ${since}`,
        () => element('tr', {}, element('td'), cell('Version'), cell('Since'), cell('Sockets', 'number'), cell('Lag', 'number')),
        ({ cells: [name, version, since, sockets, lag] }, node) => {
          say(name, node.name ?? 'this node');
          say(version, node.version);
          if (!since.firstChild) since.append(moment(node.since));
          say(sockets, number(node.sockets));
          say(lag, node.lagMs === null ? '–' : `${node.lagMs.toFixed(node.lagMs < 10 ? 1 : 0)} ms`);
        });
    },
  };
}

export function storePanel() {
  let weighed = 0;
  const rows = table('Tables', ['Table', { title: 'Rows', number: true }, { title: 'Size', number: true }, 'Kept for']);
  rows.classList.add('stacks');
  const about = element('p', { className: 'hint partial', attributes: { role: 'status' } });
  return {
    card: panel('Store by table', { about: 'with indexes, the largest first; looked at once a minute', className: 'list' }, rows, about),
    async refresh() {
      if (Date.now() - weighed < WEIGH_MS) return;
      const { engine, tables, kept } = await call('api/store');
      weighed = Date.now();
      const known = tables ?? [];
      const keeps = (name) => {
        const found = kept.find((kind) => kind.tables.includes(name));
        return found ? (found.keepMs ? duration(found.keepMs) : 'for ever') : '';
      };
      keep(rows.tBodies[0], known, ({ name }) => name,
        ({ name }) => element('tr', {}, element('td', {}, element('code', { textContent: name })), cell('Rows', 'number'), cell('Size', 'number'), cell('Kept', 'soft')),
        ({ cells: [, count, size, keptFor] }, table) => {
          say(count, number(table.rows));
          say(size, bytes(table.bytes));
          say(keptFor, keeps(table.name));
        });
      const total = known.reduce((sum, table) => sum + table.bytes, 0);
      const kinds = kept.map(({ what, keepMs }) => `${what} ${keepMs ? duration(keepMs) : 'for ever'}`).join(', ');
      say(about, tables
        ? `${many(known.length, 'table')}, ${bytes(total)} in ${engine}${engine === 'postgres' ? '; rows are an estimate' : ''}. Kept: ${kinds}.`
        : `The file is too large to be looked through while it works. Kept: ${kinds}.`);
    },
  };
}
