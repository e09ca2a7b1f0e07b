// Looks up whether a user is here.

import { call } from './api.js';
import { byId, element, showProblem } from './element.js';

const answer = byId('presence-answer');
const user = byId('user');
let asked = 0;

function moment(iso) {
  const date = new Date(iso);
  return element('time', { dateTime: iso, title: iso, textContent: date.toLocaleString() });
}

function draw({ userId, status, lastSeen, connections }, sendTo) {
  const since = lastSeen ? [`${status} since `, moment(lastSeen)] : ['not seen since this server started'];
  const many = connections === 1 ? '1 connection' : `${connections} connections`;
  answer.replaceChildren(element('div', { className: 'person' },
    element('p', {}, element('span', { className: 'dot', attributes: { 'data-state': status } }),
      element('strong', { textContent: userId }), ` ${many} on this node`),
    element('p', { className: 'hint' }, ...since,
      ` · looked up at ${new Date().toLocaleTimeString()}`),
    element('button', { type: 'button', textContent: 'Send to this user', onclick: () => sendTo('user', userId) })));
}

export async function lookUp(userId, sendTo) {
  user.value = userId;
  const turn = ++asked;
  try {
    const status = await call(`api/presence/${encodeURIComponent(userId)}`);
    if (turn !== asked) return;
    draw(status, sendTo);
    answer.scrollIntoView({ block: 'nearest' });
  } catch (problem) {
    if (turn === asked) showProblem(answer, problem);
  }
}

export function reset() {
  asked += 1;
  user.value = '';
  answer.replaceChildren();
}

export function start(sendTo) {
  byId('presence').addEventListener('submit', (event) => {
    event.preventDefault();
    lookUp(user.value.trim(), sendTo);
  });
}
