// A whole purchase through REST, heard by the official client: step by step, who hears which event
// with which payload, and that the others hear nothing.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { assertHas, assertRefused, connected, open4 } from './support/client.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

// The marketplace's own events are what is looked at; tests/notified.rs has what users are notified of.
const causes = 'OFFER_RECEIVED OFFER_ACCEPTED OFFER_REJECTED REQUEST_CANCELLED DELIVERY_SHIPPED ' +
  'DELIVERY_CONFIRMED PAYMENT_RECEIVED PAYOUT_COMPLETED';
const quiet = Object.fromEntries(
  causes.split(' ').map((cause) => [`STOA_NOTIFICATIONS__CAUSES__${cause}__ENABLED`, 'false']),
);

const ROLES = { ann: 'buyer', sam: 'seller', eve: 'seller', lou: 'seller', olga: 'user' };
const PRICE = { amount: 35.5, currency: 'USD' };

const servers = {
  documented: await startServer(quiet),
  participants: await startServer({ EVENT_AUDIENCE: 'participants', ...quiet }),
};

for (const [audience, server] of Object.entries(servers)) {
  test(`a purchase with EVENT_AUDIENCE=${audience} is heard by whom the document names`, async () => {
    const people = {};
    const tokens = Object.fromEntries(
      Object.entries(ROLES).map(([user, role]) => [user, tokenFor(user, { role })]),
    );
    const everyone = Object.keys(ROLES);
    /** Whom what the document calls global reaches: everyone, or who takes part. */
    const all = (...parts) => (audience === 'documented' ? everyone : parts);
    const known = {};

    /** Calls REST as a user, or as a backend; fails unless it is done. */
    async function call(who, method, path, body) {
      const credentials =
        who === 'backend'
          ? { authorization: `Bearer ${tokenFor('backend', { role: 'service' })}` }
          : { authorization: `Bearer ${tokens[who]}` };
      const response = await fetch(server.url + path, {
        method,
        headers: { 'content-type': 'application/json', ...credentials },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      const text = await response.text();
      assert(response.ok, `${method} ${path} as ${who}: ${response.status} ${text}`);
      return text ? JSON.parse(text) : null;
    }

    /** Asserts what each has heard since the last step; who is not named has heard nothing. */
    async function heard(expected) {
      for (const user of everyone) {
        assert.deepEqual(await people[user].heard(), expected[user] ?? [], user);
      }
    }

    /** The same events for each of these users. */
    const same = (users, ...events) => Object.fromEntries(users.map((user) => [user, events]));
    /** Several of those together; for each user in the order given. */
    const together = (...parts) => {
      const sum = {};
      for (const part of parts) {
        for (const [user, events] of Object.entries(part)) {
          sum[user] = [...(sum[user] ?? []), ...events];
        }
      }
      return sum;
    };
    const moved = (type, status, more = {}) => [
      'purchase-request-update',
      { type, requestId: known.request.id, status, ...more },
    ];

    for (const user of everyone) {
      // As the marketplace's apps connect: a cookie, and websocket only.
      const socket = open4(server, {
        withCredentials: true,
        transports: ['websocket'],
        extraHeaders: { cookie: `accessToken=${tokens[user]}` },
      });
      people[user] = await connected(server, user, socket);
    }
    for (const seller of ['sam', 'eve', 'lou']) {
      assertHas(await people[seller].ask('join-seller-room', seller), { success: true });
    }
    assertHas(await people.ann.ask('join-buyer-room', 'ann'), { success: true });
    assertRefused(await people.olga.ask('join-seller-room', 'olga'), 'forbidden');

    // A request is made, changed, and looked at.
    const lamp = {
      title: 'A lamp',
      description: 'Green',
      budget: { amount: '40.00', currency: 'USD' },
    };
    known.request = await call('ann', 'POST', '/api/marketplace/requests', lamp);
    assertHas(known.request, { buyerId: 'ann', status: 'open', budget: { amount: 40, currency: 'USD' } });
    await heard(same(['sam', 'eve', 'lou'], ['new-purchase-request', known.request]));

    const { id } = known.request;
    const request = `/api/marketplace/requests/${id}`;
    for (const user of ['ann', 'sam', 'eve', 'lou']) {
      const joined = await people[user].ask('join-request-room', id);
      assertHas(joined, { success: true, room: `request-${id}` });
    }
    assertRefused(await people.olga.ask('join-request-room', id), 'forbidden');
    const room = ['ann', 'sam', 'eve', 'lou'];

    await call('ann', 'PATCH', request, { title: 'A green lamp' });
    await heard(same(room, moved('details_changed', 'open')));

    // Two sellers offer; the third only looks on.
    const offers = {};
    for (const [seller, amount] of [['sam', '35.50'], ['eve', 50]]) {
      const offer = { amount, currency: 'USD', message: 'Here', deliveryDays: 3 };
      offers[seller] = await call(seller, 'POST', `${request}/offers`, offer);
      await heard(
        together(
          same(['ann'], ['new-offer', { requestId: id, offer: offers[seller], sellerId: seller }]),
          same(room, moved('offer_created', 'open')),
        ),
      );
    }

    // The buyer accepts one: the other seller hears so, and both others are out of the room.
    const accepted = await call('ann', 'POST', `/api/marketplace/offers/${offers.sam.id}/accept`);
    assertHas(accepted, { status: 'accepted', sellerId: 'sam', acceptedOfferId: offers.sam.id });
    const told = (seller, eventType, data) => [
      'seller-offer-update',
      {
        sellerId: seller,
        requestId: id,
        eventType,
        data: { offerId: offers[seller].id, isSelected: seller === 'sam', ...data },
      },
    ];
    await heard(
      together(
        same(['sam'], told('sam', 'offer-accepted', {})),
        same(['eve'], told('eve', 'offer-rejected', { reason: 'The buyer accepted another offer.' })),
        same(room, moved('offer_accepted', 'accepted')),
      ),
    );
    for (const seller of ['eve', 'lou']) {
      assertRefused(await people[seller].ask('join-request-room', id), 'forbidden');
    }
    const both = ['ann', 'sam'];

    // A checkout over the request; its payment is told by a backend.
    const checkout = await call('ann', 'POST', '/api/marketplace/template-checkouts', {
      requestIds: [id],
    });
    const checkoutId = checkout.id;
    for (const user of both) {
      const joined = await people[user].ask('join-checkout-room', checkoutId);
      assertHas(joined, { success: true, room: `template-checkout-${checkoutId}` });
    }
    assertRefused(await people.eve.ask('join-checkout-room', checkoutId), 'forbidden');
    await heard({});
    for (const [payment, event] of [
      [{ status: 'pending' }, ['template-checkout-payment-pending', { checkoutId }]],
      [
        { status: 'failed', reason: 'No money' },
        ['template-checkout-payment-failed', { checkoutId, reason: 'No money' }],
      ],
      [
        { status: 'confirmed', paymentId: 'p-77' },
        ['template-checkout-payment-confirmed', { checkoutId, requestIds: [id], paymentId: 'p-77' }],
      ],
    ]) {
      const path = `/api/marketplace/template-checkouts/${checkoutId}/payment`;
      await call('backend', 'POST', path, payment);
      await heard(same(all(...both), event));
    }

    // The buyer pays; a watcher of the chain confirms.
    const payment = await call('ann', 'POST', '/api/payments', {
      requestId: id,
      provider: 'decentralized',
    });
    const paymentId = payment.id;
    const created = {
      paymentId,
      provider: 'decentralized',
      requestId: id,
      buyerId: 'ann',
      sellerId: 'sam',
      ...PRICE,
    };
    await heard(same(all(...both), ['payment-created', created]));

    await call('backend', 'POST', `/api/payments/${paymentId}/confirm`, { txHash: '0xabc' });
    const byPayment = { paymentId, txHash: '0xabc', provider: 'decentralized' };
    const completed = { paymentId, transactionHash: '0xabc' };
    await heard(
      together(
        same(all(...both), ['payment-update', { paymentId, status: 'confirmed', txHash: '0xabc' }]),
        same(all(...both), told('sam', 'payment-completed', completed)),
        same(both, moved('payment_changed', 'paid', byPayment)),
        same(['sam'], ['payment-received', { purchaseRequestId: id, ...PRICE, buyerId: 'ann' }]),
      ),
    );
    await call('backend', 'POST', `/api/payments/${paymentId}/escrow`, { escrowState: 'held' });
    const held = { paymentId, status: 'confirmed', escrowState: 'held', txHash: '0xabc' };
    await heard(same(all(...both), ['payment-update', held]));

    // The seller sends it, and hands the code over with it.
    const { deliveryCode } = await call('sam', 'POST', `${request}/delivery/code`);
    assert.match(deliveryCode, /^[2-9A-HJ-NP-Z]{8}$/);
    const code = ['delivery-code-generated', { requestId: id, deliveryCode }];
    await heard(same(audience === 'documented' ? both : ['sam'], code));

    const shipped = { status: 'shipped', carrier: 'Post', trackingNumber: 'RR1' };
    await call('sam', 'PATCH', `${request}/delivery`, shipped);
    await heard(
      same(both, ['delivery-update', { requestId: id, ...shipped }], moved('delivery_changed', 'shipped')),
    );
    await call('ann', 'POST', `${request}/delivery/confirm`, { code: deliveryCode });
    await heard(
      same(both, ['delivery-confirmed', { requestId: id }], moved('status_changed', 'delivered')),
    );
    await call('ann', 'POST', `${request}/delivery/buyer-confirm`);
    await heard(same(['sam'], ['buyer-confirmed-delivery', { requestId: id, buyerId: 'ann' }]));

    // It is done, and the seller is paid.
    await call('ann', 'POST', `${request}/complete`);
    await heard(
      same(
        both,
        ['transaction-completed', { requestId: id, paymentId, ...PRICE }],
        moved('status_changed', 'completed'),
      ),
    );
    const payout = await call('backend', 'POST', '/api/payouts', {
      sellerId: 'sam',
      paymentId,
      amount: '34.10',
      currency: 'USDT',
      destination: '0x6f2F',
      provider: 'decentralized',
    });
    const begun = { payoutId: payout.id, taskId: null, sellerId: 'sam', amount: 34.1, currency: 'USDT' };
    await heard(same(all('sam'), ['payout-created', begun]));
    await call('backend', 'PATCH', `/api/payouts/${payout.id}`, { status: 'completed', txHash: '0xfee' });
    await heard(
      same(
        all('sam'),
        ['payout-updated', { payoutId: payout.id, status: 'completed' }],
        ['payout-completed', { payoutId: payout.id, taskId: null, txHash: '0xfee' }],
      ),
    );

    // Another request is called off: its buyer and who offered hear why.
    const second = await call('ann', 'POST', '/api/marketplace/requests', lamp);
    await call('eve', 'POST', `/api/marketplace/requests/${second.id}/offers`, PRICE);
    for (const user of everyone) await people[user].heard();
    await call('ann', 'POST', `/api/marketplace/requests/${second.id}/cancel`, { reason: 'Found one' });
    const off = ['request-cancelled', { requestId: second.id, reason: 'Found one' }];
    await heard(same(['ann', 'eve'], off));
  });
}
