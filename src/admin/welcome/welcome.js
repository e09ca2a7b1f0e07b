// The playground: two users on sockets, and the command that both hear. Every word goes in as text.

import { connect } from './socket.js';

const KEPT = 30;

const byId = (id) => document.getElementById(id);

async function post(path, { token, ...body }, headers = {}) {
  const answer = await fetch(path, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }), ...headers },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail ?? said.title);
  return said;
}

// What a player heard, newest first.
function hear(list, name, payload) {
  const item = document.createElement('li');
  const what = Object.assign(document.createElement('strong'), { textContent: name });
  const when = Object.assign(document.createElement('time'), { textContent: new Date().toLocaleTimeString() });
  const data = Object.assign(document.createElement('code'), { textContent: JSON.stringify(payload, null, 2) });
  item.append(what, when, data);
  list.prepend(item);
  while (list.children.length > KEPT) list.lastChild.remove();
}

// A player, who is there once they are in the room.
function play(name, token, event, id) {
  const state = byId(`${name}-state`);
  const changes = (kind, words) => {
    state.dataset.state = kind;
    state.textContent = words;
  };
  return new Promise((ready) => {
    connect(token, {
      changes,
      hears: (event, payload) => hear(byId(`${name}-heard`), event, payload),
      connected: async (ask) => {
        const answer = await ask(event, id).catch(({ message }) => ({ error: message }));
        changes(answer.success ? 'ok' : 'unavailable', answer.success ? `in ${answer.room}` : answer.error);
        ready();
      },
    });
  });
}

// As a shell takes it: nothing in single quotes means anything but the quote itself.
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

async function start() {
  const { ann, bob, you } = await post('welcome/playground', {});
  // The same one for as long as the server remembers the key.
  const { conversation } = await post('api/conversations', {
    token: you.token, participantIds: [ann.userId, bob.userId], type: 'group', title: 'Playground',
  }, { 'Idempotency-Key': 'playground' });
  const path = `api/conversations/${encodeURIComponent(conversation.id)}/messages`;
  const content = byId('content');
  const show = () => {
    byId('command').textContent = [
      `curl ${new URL(path, document.baseURI)}`,
      `  -H ${quoted(`Authorization: Bearer ${you.token}`)}`,
      "  -H 'Content-Type: application/json'",
      `  -d ${quoted(JSON.stringify({ content: content.value }))}`,
    ].join(' \\\n');
  };
  content.addEventListener('input', show);
  show();
  byId('copy').addEventListener('click', async () => {
    const copied = await navigator.clipboard.writeText(byId('command').textContent).then(() => true, () => false);
    byId('answer').textContent = copied ? 'Copied: paste it into a terminal.' : 'Select the command to copy it.';
  });
  byId('say').addEventListener('submit', async (event) => {
    event.preventDefault();
    const said = await post(path, { token: you.token, content: content.value }).then(
      () => 'Sent: it is stored, and both were told.', ({ message }) => message);
    byId('answer').textContent = said;
  });
  await Promise.all([
    play('ann', ann.token, 'conversation:join', conversation.id),
    play('bob', bob.token, 'join-chat-room', conversation.id),
  ]);
  for (const name of ['send', 'copy']) byId(name).disabled = false;
}

if (byId('say')) {
  start().catch(({ message }) => {
    byId('command').textContent = `The playground could not be opened: ${message}`;
  });
}
