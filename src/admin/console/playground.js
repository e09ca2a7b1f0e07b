// A backend and a client, side by side: what one sends the other hears.

import { loadCatalogue } from './catalogue.js';
import { makeClient } from './client.js';
import { makeSend } from './send.js';

export const path = 'playground';
export const title = 'Playground';

// The address may name whom an event goes to: `?room=` or `?user=`.
export function open(at, { query, status }) {
  const catalogue = loadCatalogue();
  const client = makeClient({ query, status, catalogue });
  at.append(makeSend({ query, status, catalogue }), client.panel);
  return { close: client.close };
}
