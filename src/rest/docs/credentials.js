// As whom the page calls. The credential is in this tab's sessionStorage, where the console has it, too.

import { byId } from './element.js';

const STORED = 'stoa.credential';

// A token is three parts with dots, of which the first is base64 of `{"`; anything else is a key.
const isToken = (credential) => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(credential);

// The header that shows it, as a name and a value; none without one.
export function credential() {
  const value = sessionStorage.getItem(STORED);
  if (!value) return null;
  return isToken(value) ? ['Authorization', `Bearer ${value}`] : ['X-Api-Key', value];
}

function show() {
  const [name] = credential() ?? [];
  byId('forget').hidden = !name;
  byId('credential-hint').textContent = name
    ? `Calls are sent with ${name}. It stays in this tab until you close it.`
    : 'It stays in this tab until you close it.';
}

export function start() {
  const field = byId('credential');
  byId('credentials').addEventListener('submit', (event) => {
    event.preventDefault();
    const value = field.value.trim().replace(/^Bearer\s+/i, '');
    // What can't stand in a header is no credential.
    field.setCustomValidity(/^[\x21-\x7e]+$/.test(value) ? '' : 'A token or a key has no spaces.');
    if (!field.reportValidity()) return;
    sessionStorage.setItem(STORED, value);
    field.value = '';
    show();
  });
  field.addEventListener('input', () => field.setCustomValidity(''));
  byId('forget').addEventListener('click', () => {
    sessionStorage.removeItem(STORED);
    show();
    field.focus();
  });
  show();
}
