// The console: signs in, then asks the server every few seconds how it is, while someone looks.

import { ask, call, session } from './api.js';
import { byId, element, keep, say } from './element.js';
import { closePages, openPages, refresh, start as startPages } from './router.js';
import { askToSignIn, start as startSession } from './session.js';
import { duration } from './words.js';

const EVERY_MS = 3000;
const STATES = { ok: 'Ready', degraded: 'Degraded', draining: 'Draining', unavailable: 'Not ready' };

const pause = byId('pause');
let timer;
let running = false;
let again = false;
let paused = false;
let answeredAt = null;

function warn(warnings) {
  keep(byId('warnings'), warnings, ({ key }) => key,
    ({ kind }) => element('div', { className: `warning ${kind}` }, element('strong'), ' ', element('span')),
    ({ children: [title, text] }, warning) => {
      say(title, warning.title);
      say(text, warning.text);
    });
}

function showReadiness(state, label, warnings) {
  const pill = byId('readiness');
  pill.dataset.state = state;
  say(pill, label);
  warn(warnings);
}

async function readiness() {
  let response;
  try {
    response = await ask('readyz', { credential: null });
  } catch (problem) {
    const since = answeredAt ? ` Last answer at ${answeredAt.toLocaleTimeString()}; what you see is from then.` : '';
    showReadiness('unreachable', 'No answer', [{ key: 'away', kind: 'bad', title: 'No answer.', text: `${problem.detail} Trying again every ${EVERY_MS / 1000} seconds.${since}` }]);
    return false;
  }
  answeredAt = new Date();
  const { status = 'unavailable', failing = [] } = await response.json().catch(() => ({}));
  const warnings = [
    status === 'draining' && { key: 'draining', kind: 'bad', title: 'Draining.', text: 'This node is stopping: it takes no new sockets and lets go of those it has.' },
    failing.length && { key: 'failing', kind: 'bad', title: 'Not ready.', text: `Failing: ${failing.join(', ')}.` },
  ];
  showReadiness(status, STATES[status] ?? status, warnings.filter(Boolean));
  return true;
}

function showNode({ version, uptimeMs, environment, caller }) {
  say(byId('node'), `${version} · ${environment} · up ${duration(uptimeMs)}`);
  say(byId('caller'), caller.userId);
  byId('caller').title = `Signed in as ${caller.userId}: ${caller.roles.join(', ')}`;
}

// One look at everything. A credential that is no longer good ends the session.
async function look() {
  const [status, refused] = await Promise.all([call('api/status').catch((problem) => problem), refresh()]);
  if (!session.credential) return;
  if (refused || status.status === 401) signOut(refused ?? status);
  else if (!(status instanceof Error)) showNode(status);
}

async function tick() {
  clearTimeout(timer);
  // Asked for during a look: then another follows at once.
  again = running;
  if (running || document.hidden) return;
  running = true;
  try {
    const answers = await readiness();
    if (answers && session.credential && !paused) await look();
  } finally {
    running = false;
    timer = setTimeout(tick, again ? 0 : EVERY_MS);
  }
}

function hold(still) {
  paused = still;
  pause.setAttribute('aria-pressed', String(paused));
  say(pause, paused ? 'Resume' : 'Pause');
  if (!paused) tick();
}

function begin(status) {
  showNode(status);
  byId('sign-in').hidden = true;
  byId('session').hidden = false;
  openPages(status);
  hold(false);
}

function signOut(problem) {
  byId('session').hidden = true;
  closePages();
  say(byId('node'), '');
  askToSignIn(problem);
}

async function resume() {
  if (!session.credential) {
    askToSignIn();
    return;
  }
  try {
    begin(await call('api/status'));
  } catch (problem) {
    // A server that is away for a moment costs nobody their session.
    if (problem.status) askToSignIn(problem);
    else setTimeout(resume, EVERY_MS);
  }
}

startPages();
startSession(begin);
byId('sign-out').addEventListener('click', () => signOut());
pause.addEventListener('click', () => hold(!paused));
document.addEventListener('visibilitychange', tick);
tick();
resume();
