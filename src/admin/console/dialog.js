// Asks twice before something is done to somebody: what it does is said, and the button says it again.

import { element, showProblem } from './element.js';

const field = ({ name, label, hint = '', ...is }, at) => {
  const input = element('input', { name, id: `dialog-${at}`, autocomplete: 'off', spellcheck: false, ...is });
  return element('div', { className: 'field' },
    element('label', { htmlFor: input.id, textContent: label }), input, element('p', { className: 'hint', textContent: hint }));
};

// `act` is given what was filled in, and awaited with the dialog open: a failure is shown there. Resolves to
// whether it was done. With `typed` the operator has to type that first.
export function askTwice({ title, sentence, action, fields = [], typed = '', act }) {
  const answer = element('div', { attributes: { role: 'alert' } });
  const asked = typed ? [{ name: 'typed', label: `Type ${typed} to go on`, required: true, pattern: typed.replace(/[\^$\\.*+?()[\]{}|/-]/g, '\\$&') }] : [];
  const cancel = element('button', { type: 'button', textContent: 'Cancel' });
  const confirm = element('button', { className: 'danger', textContent: action });
  const form = element('form', { method: 'dialog' },
    element('h2', { id: 'dialog-title', textContent: title }),
    element('p', { textContent: sentence }),
    ...[...fields, ...asked].map(field), answer,
    element('div', { className: 'actions' }, cancel, confirm));
  const dialog = element('dialog', { attributes: { 'aria-labelledby': 'dialog-title' } }, form);
  const before = document.activeElement;
  document.body.append(dialog);
  let done = false;
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      resolve(done);
    });
    cancel.addEventListener('click', () => dialog.close());
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      confirm.disabled = true;
      confirm.setAttribute('aria-busy', 'true');
      try {
        await act(Object.fromEntries(new FormData(form)));
        done = true;
        dialog.close();
      } catch (problem) {
        showProblem(answer, problem.errors ? problem : { title: 'It failed.', detail: problem.message, errors: [] });
      } finally {
        confirm.disabled = false;
        confirm.removeAttribute('aria-busy');
      }
    });
    dialog.showModal();
    // What can't be undone is never under the first key.
    cancel.focus();
  });
}
