// How this node does.

import { call } from './api.js';
import { element, say } from './element.js';

export const path = 'overview';
export const title = 'Overview';

export function open(at) {
  const version = element('p');
  at.replaceChildren(version);
  return {
    async refresh() {
      say(version, (await call('api/status')).version);
    },
  };
}
