// Signing in and out. The credential is in this tab's sessionStorage, nowhere else.

import { call, session } from './api.js';
import { byId, showProblem } from './element.js';

const credential = byId('credential');
const answer = byId('sign-in-answer');

async function enter(value, begin) {
  try {
    const status = await call('api/status', { credential: value });
    session.credential = value;
    credential.value = '';
    showProblem(answer, null);
    begin(status);
  } catch (problem) {
    showProblem(answer, problem);
    credential.focus();
  }
}

async function enterAsDeveloper(begin) {
  try {
    const body = JSON.stringify({ code: byId('developer-code').value.trim() });
    const { token } = await call('console/login', { method: 'POST', body, credential: null });
    byId('developer-code').value = '';
    await enter(token, begin);
  } catch (problem) {
    showProblem(answer, problem);
  }
}

// Forgets the credential and asks for another; `problem` says why, when it was not asked for.
export function askToSignIn(problem = null) {
  session.credential = null;
  byId('sign-in').hidden = false;
  showProblem(answer, problem);
  (byId('developer-code') ?? credential).focus();
}

// `begin` is given what the server says of itself and of us.
export function start(begin) {
  byId('sign-in-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const value = credential.value.trim().replace(/^Bearer\s+/i, '');
    // What can't stand in a header is no credential.
    credential.setCustomValidity(/^[\x21-\x7e]+$/.test(value) ? '' : 'A token or a key has no spaces.');
    if (event.target.reportValidity()) enter(value, begin);
  });
  credential.addEventListener('input', () => credential.setCustomValidity(''));
  byId('developer')?.addEventListener('click', () => enterAsDeveloper(begin));
  byId('developer-code')?.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    // The form is for tokens and keys.
    event.preventDefault();
    enterAsDeveloper(begin);
  });
}
