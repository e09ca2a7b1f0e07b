// Who is here.

import { call } from './api.js';
import { element, say } from './element.js';

export const path = 'people';
export const title = 'People';

export function open(at, { query }) {
  const user = query.get('user');
  const about = element('p');
  at.replaceChildren(about);
  return {
    async refresh() {
      if (!user) return;
      const { connections, status } = await call(`api/presence/${encodeURIComponent(user)}`);
      say(about, `${user} is ${status}, with ${connections} connections on this node`);
    },
  };
}
