// An operator at the pages of the console about sales and their money, in Chromium.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { LOOKS, barriers, open, shoot } from './pages.mjs';
import { startServer, token } from './server.mjs';

const operator = (roles = ['admin', 'service']) => token({ userId: 'olga', roles });
const people = { ann: token({ userId: 'ann', role: 'buyer' }), sam: token({ userId: 'sam', role: 'seller' }), back: operator() };

/** A server, and what its people ask of it. */
async function start(t, env) {
  const url = await startServer(t, env);
  const ask = async (who, method, path, body) => {
    const answer = await fetch(`${url}/api/${path}`, {
      method, body: body && JSON.stringify(body),
      headers: { authorization: `Bearer ${people[who]}`, 'content-type': 'application/json' },
    });
    const told = await answer.json();
    assert(answer.ok, JSON.stringify(told));
    return told;
  };
  return { url, ask };
}

/** An amount with more digits than a number of JavaScript. */
const EXACT = '35.499999999999999999';

/** A request of ann's with an accepted offer of sam's, and her payment for it. */
async function sale({ ask }) {
  const lamp = { title: '<b>A lamp</b>', description: 'Green', budget: { amount: 40, currency: 'USD' } };
  const request = (await ask('ann', 'POST', 'marketplace/requests', lamp)).id;
  const offer = (await ask('sam', 'POST', `marketplace/requests/${request}/offers`, { amount: '35.50', currency: 'USD' })).id;
  await ask('ann', 'POST', `marketplace/offers/${offer}/accept`);
  const payment = (await ask('ann', 'POST', 'payments', { requestId: request, provider: 'decentralized' })).id;
  return { request, offer, payment };
}

/** A payment that pays nothing, and a payout that failed. */
async function unsettled(server) {
  const late = await sale(server);
  await server.ask('ann', 'POST', `marketplace/requests/${late.request}/cancel`, { reason: '<i>Found one</i>' });
  await server.ask('back', 'POST', `payments/${late.payment}/confirm`, { txHash: '0x1' });
  const good = await sale(server);
  await server.ask('back', 'POST', `payments/${good.payment}/confirm`, { txHash: '0x2' });
  const payout = (await server.ask('back', 'POST', 'payouts', {
    sellerId: 'sam', paymentId: good.payment, amount: EXACT, currency: 'USD', destination: '0x6f2F', provider: 'decentralized',
  })).id;
  await server.ask('back', 'PATCH', `payouts/${payout}`, { status: 'failed' });
  return { late, good, payout };
}

/** The console for somebody with these roles, on a page that is gone to by the keyboard. */
async function openAs(t, url, name, { look, roles } = {}) {
  const page = await open(t, url, '/console', look);
  await page.getByLabel('Token or API key').fill(operator(roles));
  await page.getByRole('button', { name: 'Sign in' }).press('Enter');
  await page.getByRole('link', { name, exact: true }).press('Enter');
  await page.getByRole('heading', { name, level: 2 }).waitFor();
  return page;
}

test('money that waits is settled, each asked twice, by the keyboard alone', async (t) => {
  const server = await start(t);
  const { late, good, payout } = await unsettled(server);
  const page = await openAs(t, server.url, 'Money');
  await page.getByText('2 things to look at').waitFor();
  const dialog = page.getByRole('dialog');

  const unapplied = page.getByRole('list', { name: 'Confirmed, and pays nothing' });
  await unapplied.getByText('Ledger').press('Enter');
  const ledger = page.getByRole('list', { name: `What happened to ${late.payment}` });
  await ledger.getByText('unapplied', { exact: true }).waitFor();
  await unapplied.getByRole('button', { name: 'It went back…' }).press('Enter');
  await dialog.getByText('It moves no money').waitFor();
  // The first answer is no.
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await server.ask('back', 'GET', `payments/${late.payment}`)).escrowState, null);
  await unapplied.getByRole('button', { name: 'It went back…' }).press('Enter');
  await dialog.getByRole('button', { name: 'It went back' }).press('Enter');
  await page.getByText('No payment pays nothing.').waitFor();
  assert.equal((await server.ask('back', 'GET', `payments/${late.payment}`)).escrowState, 'refunded');

  const payouts = page.getByRole('list', { name: 'Payouts that need a look' });
  await payouts.getByText(payout).waitFor();
  await payouts.getByRole('button', { name: 'Pay it out again…' }).press('Enter');
  await dialog.getByLabel('Address').fill('0x7a');
  await dialog.getByRole('button', { name: 'Pay out' }).press('Enter');
  await page.getByText('Nothing waits for anybody.').waitFor();
  const refused = await fetch(`${server.url}/api/payouts`, {
    method: 'POST', headers: { authorization: `Bearer ${operator()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ sellerId: 'sam', paymentId: good.payment, amount: '35.50', currency: 'USD', destination: '0x7a', provider: 'decentralized' }),
  });
  assert.equal(refused.status, 409, 'it is under way once more');
  const { steps } = await server.ask('back', 'GET', `marketplace/requests/${good.request}/timeline`);
  const paid = steps.filter(({ kind }) => kind === 'payout_created').map(({ detail }) => detail);
  assert.deepEqual(paid, [`${EXACT} USD`, `${EXACT} USD`]);
});

test('who may not settle is told so', async (t) => {
  const server = await start(t);
  await unsettled(server);
  const page = await openAs(t, server.url, 'Money', { roles: ['admin'] });
  await page.getByText('You may look.').waitFor();
  assert(await page.getByRole('button', { name: 'It went back…' }).isDisabled());
  assert(await page.getByRole('button', { name: 'Pay it out again…' }).isEnabled());
});

test('a sale is told from its beginning, with who was told of each step', async (t) => {
  const server = await start(t);
  const { good, late } = await unsettled(server);
  const page = await openAs(t, server.url, 'A sale');
  await page.getByLabel('Purchase request').fill(good.request);
  await page.keyboard.press('Enter');
  const steps = page.getByRole('list', { name: 'What happened' });
  await steps.getByText('made the request: <b>A lamp</b>').waitFor();
  const told = steps.locator('.step').filter({ hasText: 'The payment is confirmed' });
  await told.getByText('payment-update').waitFor();
  await told.getByText(`request/${good.request} number`).first().waitFor();
  await steps.getByText('The payout failed').waitFor();
  assert.match(page.url(), new RegExp(`request=${good.request}`));
  // Whoever took part may be asked about, event by event.
  await told.getByRole('link', { name: 'Did sam hear it?' }).first().press('Enter');
  await page.getByRole('heading', { name: 'Why', level: 2 }).waitFor();
  assert.equal(await page.getByLabel('User', { exact: true }).inputValue(), 'sam');
  const { steps: [{ events: [{ position }] }] } = await page.evaluate(async ([request, key]) => {
    const answer = await fetch(`api/marketplace/requests/${request}/timeline`, { headers: { authorization: `Bearer ${key}` } });
    const { steps } = await answer.json();
    return { steps: steps.filter(({ kind }) => kind === 'payment_confirmed') };
  }, [good.request, operator()]);
  assert.equal(await page.getByLabel('Event', { exact: true }).inputValue(), String(position));
  await page.getByText(/^Not heard/).waitFor();
  await page.getByRole('region', { name: 'The event' }).getByText('payment-update').first().waitFor();
  await page.goBack();
  await steps.getByRole('link', { name: 'Did ann hear it?' }).first().waitFor();
  await page.getByLabel('Purchase request').fill('r-1');
  await page.keyboard.press('Enter');
  await page.getByText('There is no request r-1.').waitFor();
  // From where its money waits.
  await page.getByRole('link', { name: 'Money' }).press('Enter');
  await page.getByRole('link', { name: late.request }).press('Enter');
  await steps.getByText('called the request off: <i>Found one</i>').waitFor();
  await steps.getByText('The payment pays nothing').waitFor();
});

for (const look of LOOKS) {
  test(`nobody is kept out of money: ${look.name}`, async (t) => {
    const server = await start(t);
    const { good } = await unsettled(server);
    const page = await openAs(t, server.url, 'Money', { look });
    await page.getByRole('button', { name: 'It went back…' }).waitFor();
    await page.getByText('Ledger').first().press('Enter');
    await page.getByText('unapplied', { exact: true }).waitFor();
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `console Money ${look.name}`);
    await page.goto(`${server.url}/console#/sale?request=${good.request}`);
    await page.getByText('The payout failed').waitFor();
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `console A sale ${look.name}`);
  });
}
