// Money that waits for somebody: what pays nothing, what came in part, payouts that need a look; each with
// its ledger and the calls that settle it.

import { hrefOf } from './address.js';
import { call } from './api.js';
import { askTwice } from './dialog.js';
import { element, facts, keep, moment, say } from './element.js';
import { many } from './words.js';

export const path = 'money';
export const title = 'Money';

const PAGE = 20;

const send = (method, body) => ({ method, body: JSON.stringify(body) });
const money = ({ amount, currency }) => `${amount} ${currency}`;
const escrow = (id, escrowState) => call(`api/payments/${id}/escrow`, send('POST', { escrowState }));
const status = (id, told) => call(`api/payouts/${id}`, send('PATCH', told));
const transaction = (is) => ({ name: 'txHash', label: 'Transaction, as its chain names it', maxLength: 200, pattern: '[!-~]+', ...is });

// What settles something: `needs` says who may, `is` when it is offered.
const REFUND = {
  label: 'It went back…', needs: ['service'],
  ask: (payment) => ({
    title: `Did ${money(payment)} go back to ${payment.buyerId}?`, action: 'It went back',
    sentence: 'This notes it, and everyone concerned is told. It moves no money: that is done with the provider, or from the wallet. It can’t be taken back.',
    act: () => escrow(payment.id, 'refunded'),
  }),
};
const RELEASE = {
  label: 'It went to the seller…', needs: ['service'],
  ask: (payment) => ({
    title: `Did ${money(payment)} go to ${payment.sellerId}?`, action: 'It went to the seller',
    sentence: 'This notes it, and everyone concerned is told. It moves no money, and its request stays as it is. It can’t be taken back.',
    act: () => escrow(payment.id, 'released'),
  }),
};
const CONFIRM = {
  label: 'The rest is here…', needs: ['service'],
  ask: (payment) => ({
    title: `Is all of ${money(payment)} here?`, action: 'Confirm the payment',
    sentence: `${payment.receivedAmount} ${payment.currency} came by way of the provider. This confirms the payment, and its request is paid.`,
    fields: [transaction({ required: true, hint: 'The one by which the rest came. It pays for nothing else.' })],
    act: ({ txHash }) => call(`api/payments/${payment.id}/confirm`, send('POST', { txHash })),
  }),
};
const THROUGH = {
  label: 'It is through…', needs: ['service'], is: (payout) => payout.status !== 'failed',
  ask: (payout) => ({
    title: `Did ${money(payout)} reach ${payout.sellerId}?`, action: 'It is through',
    sentence: `Look for it at ${payout.destination} first. The seller is told, and it can’t be taken back.`,
    fields: [transaction({ hint: 'Where it is known.' })],
    act: ({ txHash }) => status(payout.id, { status: 'completed', ...(txHash && { txHash }) }),
  }),
};
const FAILED = {
  label: 'It failed…', needs: ['service'], is: (payout) => payout.status !== 'failed',
  ask: (payout) => ({
    title: `Did ${money(payout)} to ${payout.sellerId} fail?`, action: 'It failed',
    sentence: 'Look with the provider, and at the address, that nothing left: its payment can be paid out again after this.',
    typed: 'failed',
    act: () => status(payout.id, { status: 'failed' }),
  }),
};
const AGAIN = {
  label: 'Pay it out again…', needs: ['service', 'admin'], is: (payout) => payout.status === 'failed' && payout.paymentId,
  ask: (payout) => ({
    title: `Pay ${money(payout)} out again?`, action: 'Pay out',
    sentence: `To ${payout.sellerId}, by ${payout.provider}. ${payout.provider === 'shkeeper' ? 'The provider is asked to send it now.' : 'It is noted; a backend sends it.'} While it is under way the payment can’t be paid out once more.`,
    fields: [{ name: 'destination', label: 'Address', required: true, maxLength: 200, pattern: '[!-~]+', value: payout.destination }],
    act: ({ destination }) => call('api/payouts', send('POST', {
      sellerId: payout.sellerId, paymentId: payout.paymentId, amount: payout.amount, currency: payout.currency,
      destination, provider: payout.provider,
    })),
  }),
};

const person = (user) => element('a', { href: hrefOf('people', { user }), textContent: user });
const common = (of) => [
  ['Since', moment(of.updatedAt)],
  ['Provider', of.provider],
  ['Transaction', of.txHash],
];
const payment = (of) => [
  ['Came', `${of.receivedAmount} of ${money(of)}`],
  ['Request', element('a', { href: hrefOf('sale', { request: of.requestId }), textContent: of.requestId })],
  ['Buyer', person(of.buyerId)],
  ['Seller', person(of.sellerId)],
  ['Lies', of.escrowState && `${of.escrowState}, as was said`],
  ['Pays to', of.invoice?.wallet],
  ...common(of),
];
const payout = (of) => [
  ['Seller', person(of.sellerId)],
  ['To', of.destination],
  ['Payment', of.paymentId],
  ['Why', of.reason],
  ['Begun', moment(of.createdAt)],
  ['Task', of.taskId],
  ...common(of),
];

const LISTS = [
  { name: 'unapplied', title: 'Confirmed, and pays nothing', asks: 'api/payments/unsettled?kind=unapplied', told: payment, deeds: [REFUND, RELEASE], ledger: true,
    about: 'It is not the price, or its request was called off or paid before: it is to go back.', none: 'No payment pays nothing.' },
  { name: 'partial', title: 'A part came', asks: 'api/payments/unsettled?kind=partial', told: payment, deeds: [CONFIRM], ledger: true,
    about: 'The buyer may still send the rest.', none: 'No payment came in part.' },
  { name: 'payouts', title: 'Payouts that need a look', asks: 'api/payouts/unsettled?', told: payout, deeds: [THROUGH, FAILED, AGAIN], ledger: false,
    about: 'Something is not clear, they are not through after an hour, or they failed.', none: 'No payout needs a look.' },
];

const entry = ({ kind, amount, currency, txHash, detail, createdAt }) => element('li', {},
  element('code', { textContent: kind }), ` ${[amount !== null && `${amount} ${currency ?? ''}`, txHash, detail].filter(Boolean).join(' · ')} `,
  moment(createdAt));

// One of the lists, with pages of its own.
function makeList(list, roles) {
  let [cursors, next] = [[null], null];
  const items = element('ul', { className: 'hooks', ariaLabel: list.title });
  const none = element('p', { className: 'empty', textContent: list.none, hidden: true });
  const answer = element('p', { className: 'hint', attributes: { role: 'status' } });
  const back = element('button', { type: 'button', textContent: 'Back', onclick: () => turn(() => cursors.length > 1 && cursors.pop()) });
  const forth = element('button', { type: 'button', textContent: 'Next', onclick: () => turn(() => next && cursors.push(next)) });
  const pages = element('div', { className: 'deeds', hidden: true }, back, forth);
  const section = element('section', { ariaLabel: list.title },
    element('h3', { className: 'part', textContent: list.title }), element('p', { className: 'hint', textContent: list.about }), answer, items, none, pages);

  function make(of) {
    const ledger = element('ol', { className: 'failures', ariaLabel: `What happened to ${of.id}` });
    const details = element('details', { hidden: !list.ledger }, element('summary', { textContent: 'Ledger' }), ledger);
    details.addEventListener('toggle', again);
    return element('li', { className: 'panel hook' },
      element('header', {}, element('h4'), element('p', { className: 'state' }), element('code', { textContent: of.id })),
      element('dl', { className: 'facts' }), details, element('div', { className: 'deeds' }));
  }

  function update(item, { of, ledger }) {
    const [header, about, details, deeds] = item.children;
    say(header.children[0], money(of));
    header.children[1].dataset.state = of.status === 'failed' ? 'off' : 'failing';
    say(header.children[1], of.status);
    facts(about, list.told(of));
    keep(details.lastChild, ledger, ({ ordinal }) => String(ordinal), entry, () => {});
    const offered = list.deeds.filter(({ is }) => !is || is(of));
    keep(deeds, offered, ({ label }) => label, (deed) => element('button', {
      type: 'button', textContent: deed.label, disabled: !deed.needs.some((role) => roles.includes(role)),
      title: `Needs the role ${deed.needs.join(' or ')}`,
      async onclick() {
        if (!await askTwice(deed.ask(item.of))) return;
        say(answer, `${money(item.of)}: done at ${new Date().toLocaleTimeString()}, and logged with your name.`);
        again();
      },
    }), () => {});
    item.of = of;
  }

  async function ledgerOf({ id }) {
    const open = items.querySelector(`[data-key="${CSS.escape(id)}"] details`)?.open;
    return open ? (await call(`api/payments/${id}`)).ledger : [];
  }

  async function refresh() {
    const cursor = cursors.at(-1);
    const asks = `${list.asks}&limit=${PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`;
    const found = await call(asks);
    const ledgers = await Promise.all(found.items.map(ledgerOf));
    if (cursor !== cursors.at(-1)) return;
    next = found.nextCursor;
    keep(items, found.items.map((of, at) => ({ of, ledger: ledgers[at] })), ({ of }) => of.id, ({ of }) => make(of), update);
    none.hidden = found.items.length > 0;
    pages.hidden = cursors.length === 1 && !next;
    [back.disabled, forth.disabled] = [cursors.length === 1, !next];
    section.found = found.items.length;
    section.more = Boolean(next);
  }

  function turn(change) {
    change();
    refresh().catch((problem) => say(answer, problem.message));
  }

  const again = () => turn(() => {});
  return { section, refresh };
}

export function open(at, { status: { caller } }) {
  const lists = LISTS.map((list) => makeList(list, caller.roles));
  const summary = element('p', { className: 'hint', attributes: { role: 'status' } });
  const may = element('p', { className: 'hint', hidden: caller.roles.includes('service'), textContent: 'You may look. Settling needs the role service, or an API key; paying out again the role admin, too.' });
  at.replaceChildren(summary, may, ...lists.map(({ section }) => section));
  return {
    async refresh() {
      await Promise.all(lists.map((list) => list.refresh()));
      const found = lists.reduce((total, { section }) => total + section.found, 0);
      const more = lists.some(({ section }) => section.more);
      say(summary, found ? `${more ? 'More than ' : ''}${many(found, 'thing')} to look at, the oldest first.` : 'Nothing waits for anybody.');
    },
  };
}
