// One purchase as a timeline: what happened, and which events told of it to whom.

import { hrefOf } from './address.js';
import { call } from './api.js';
import { element, facts, keep, moment, say } from './element.js';
import { clock, many } from './words.js';

export const path = 'sale';
export const title = 'A sale';

const WORDS = {
  requested: 'made the request', offered: 'offered', offer_accepted: 'accepted the offer', offer_rejected: 'rejected the offer',
  offer_withdrawn: 'withdrew the offer', message: 'wrote a message', payment_created: 'The payment was begun',
  payment_invoiced: 'The provider told where to pay to', payment_seen: 'Money was seen that is not confirmed',
  payment_received: 'Money came', payment_confirmed: 'The payment is confirmed', payment_overpaid: 'More came than was asked for',
  payment_unapplied: 'The payment pays nothing: it is to go back', payment_failed: 'The payment failed',
  payment_held: 'The money is held', payment_released: 'The money went to the seller', payment_refunded: 'The money went back to the buyer',
  payout_created: 'A payout was begun', payout_processing: 'The provider works on the payout', payout_completed: 'The payout is through',
  payout_failed: 'The payout failed', delivered: 'entered the delivery code', buyer_confirmed: 'confirmed that they have it',
  completed: 'completed the request', cancelled: 'called the request off', told: 'Told',
};

const person = (user) => element('a', { href: hrefOf('people', { user }), textContent: user });

// Whether each of them heard it.
const asks = (people, position) => people.map((user) =>
  element('a', { href: hrefOf('why', { user, event: position }), textContent: `Did ${user} hear it?` }));

function makeStep({ at, kind, by, about, detail, events }, people) {
  const told = events.map(({ event, position, numbers, to, except }) => element('li', {},
    element('code', { textContent: event }), ' to ',
    to.length ? to.join(', ') : 'nobody', except.length ? `, not to ${except.join(', ')}` : '',
    element('small', { className: 'hint', textContent: ` ${numbers.map(({ stream, seq }) => `${stream} number ${seq}`).join(', ')} · position ${position}` }),
    element('p', { className: 'asks' }, ...asks(people, position))));
  const what = element('p', {}, ...(by ? [person(by), ' '] : []), WORDS[kind] ?? kind, detail ? `: ${detail}` : '');
  return element('li', { className: 'step' },
    element('p', { className: 'hint' }, moment(at, (date) => `${date.toLocaleDateString()} ${clock(date)}`)), what,
    element('p', { className: 'hint' }, element('code', { textContent: about })),
    ...(told.length ? [element('ul', { className: 'told', ariaLabel: 'Who was told' }, ...told)] : []));
}

export function open(at, { query }) {
  let [request, asked] = [query.get('request') ?? '', 0];
  const id = element('input', { name: 'request', type: 'search', required: true, autocomplete: 'off', spellcheck: false, maxLength: 128, value: request, placeholder: '( / )' });
  const form = element('form', { className: 'filters ask', ariaLabel: 'Which sale', attributes: { role: 'search' } },
    element('label', { className: 'filter' }, element('span', { textContent: 'Purchase request, by its id' }), id),
    element('button', { className: 'primary', textContent: 'Show' }));
  const head = element('h3');
  const state = element('p', { className: 'state' });
  const about = element('dl', { className: 'facts' });
  const card = element('section', { className: 'panel person', ariaLabel: 'The request', hidden: true }, element('header', {}, head, state), about);
  const steps = element('ol', { className: 'timeline', ariaLabel: 'What happened' });
  const summary = element('p', { className: 'hint', attributes: { role: 'status' } });
  at.replaceChildren(form, card, summary, steps);

  function draw({ request: of, steps: found, conversationId, partial }) {
    card.hidden = false;
    say(head, of.title);
    state.dataset.state = of.status === 'cancelled' ? 'off' : 'ok';
    say(state, of.status);
    facts(about, [
      ['Buyer', person(of.buyerId)],
      ['Seller', of.sellerId && person(of.sellerId)],
      ['Payment', of.paymentId],
      ['Carrier', of.delivery?.carrier],
      ['Tracking', of.delivery?.trackingNumber],
      ['Conversation', conversationId && element('a', { href: hrefOf('rooms', { open: `conversation:${conversationId}`, prefix: `conversation:${conversationId}` }), textContent: conversationId })],
    ]);
    const events = found.reduce((total, step) => total + step.events.length, 0);
    say(summary, `${many(found.length, 'step')}, the first first · ${many(events, 'event')} that told of them${partial ? ', and there may be more' : ''}. Older events are gone after EVENT_RETENTION.`);
    // A step that was told of since is another one.
    const people = [of.buyerId, of.sellerId].filter(Boolean);
    keep(steps, found, (step) => JSON.stringify([step, people]), (step) => makeStep(step, people), () => {});
  }

  async function refresh() {
    if (!request) return;
    const turn = ++asked;
    try {
      const found = await call(`api/marketplace/requests/${encodeURIComponent(request)}/timeline`);
      if (turn === asked) draw(found);
    } catch (problem) {
      if (turn !== asked || problem.status !== 404) throw problem;
      card.hidden = true;
      steps.replaceChildren();
      say(summary, `There is no request ${request}.`);
    }
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    request = id.value.trim();
    history.replaceState(null, '', hrefOf('sale', { request }));
    refresh().catch((problem) => say(summary, problem.message));
  });
  return {
    refresh,
    moved(query) {
      request = id.value = query.get('request') ?? '';
      return refresh().catch((problem) => say(summary, problem.message));
    },
  };
}
