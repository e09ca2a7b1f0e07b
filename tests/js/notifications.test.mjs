// Notifications and points, caused over REST and heard by the official client: in all tabs of the
// right user, in order, and by nobody else.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from './support/client.mjs';
import { startServer } from './support/server.mjs';
import { tokenFor } from './support/tokens.mjs';

const server = await startServer();

/** Calls REST as a user, or as a backend; fails unless it is done. */
async function call(who, method, path, body) {
  const claims = who === 'backend' ? { role: 'service' } : {};
  const response = await fetch(server.url + path, {
    method,
    headers: {
      authorization: `Bearer ${tokenFor(who, claims)}`,
      'content-type': 'application/json',
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert(response.ok, `${method} ${path} as ${who}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

/** Two tabs of a user, in the two namespaces that tell of these events, and people beside them. */
async function people(user) {
  const tabs = [
    await connect(server, user),
    await connect(server, user, { namespace: '/marketplace' }),
    await connect(server, user, { options: { transports: ['polling'] } }),
  ];
  const others = [
    await connect(server, `${user}-else`),
    await connect(server, `${user}-root`, { claims: { role: 'admin' } }),
    await connect(server, user, { namespace: '/chat' }),
  ];
  /** Asserts what every tab has heard since the last step, and that the others have heard nothing. */
  const heard = async (...expected) => {
    for (const tab of tabs) assert.deepEqual(await tab.heard(), expected);
    for (const other of others) assert.deepEqual(await other.heard(), []);
  };
  return heard;
}

test('each change of the notifications is told with the count after it, in every tab', async () => {
  const heard = await people('ann');
  const count = (unreadCount) => ['unread-count-update', { unreadCount }];
  const notice = { type: 'offer', title: 'An offer', body: '35.50 USD', data: { offerId: 'o1' } };
  const send = async (to) => {
    const sent = await call('backend', 'POST', '/api/notifications', { ...to, ...notice });
    return sent.notification;
  };

  const first = await send({ userId: 'ann' });
  assert.deepEqual([first.type, first.title, first.body, first.data], Object.values(notice));
  assert.equal(first._id, first.id);
  await heard(['new-notification', { notification: first }], count(1));
  const second = await send({ userIds: ['zoe', 'ann', 'ann'] });
  await heard(['new-notification', { notification: second }], count(2));

  await call('ann', 'POST', `/api/notifications/${first.id}/read`);
  await heard(count(1));
  await call('ann', 'POST', `/api/notifications/${first.id}/read`);
  await heard();
  await call('ann', 'DELETE', `/api/notifications/${first.id}`);
  await heard(count(1));
  await call('ann', 'POST', '/api/notifications/read-all');
  await heard(count(0));
  const { items } = await call('ann', 'GET', '/api/notifications');
  assert.deepEqual(items.map(({ id }) => id), [second.id]);
  assert.deepEqual(await call('ann', 'GET', '/api/notifications/unread-count'), { unreadCount: 0 });
  assert.deepEqual(await call('zoe', 'GET', '/api/notifications/unread-count'), { unreadCount: 1 });
});

test('points are told in every tab: a sign-up, a reward, a level', async () => {
  const heard = await people('bob');
  const { referralCode } = await call('bob', 'GET', '/api/points/me');
  const referral = await call('backend', 'POST', '/api/points/referrals', {
    referralCode,
    referredUserId: 'kim',
    name: 'Kim',
  });
  const { joinedAt } = referral;
  await heard(['referral-signup', { referredUserId: 'kim', name: 'Kim', joinedAt }]);

  const reward = { referredUserId: 'kim', points: 50 };
  const { id } = await call('backend', 'POST', '/api/points/referrals/reward', reward);
  await heard(['referral-reward', { ...reward, transactionId: id }]);

  const award = { userId: 'bob', points: 600, reason: 'A purchase', reference: 'order-1' };
  const transaction = await call('backend', 'POST', '/api/points/awards', award);
  assert.deepEqual(await call('backend', 'POST', '/api/points/awards', award), transaction);
  await heard([
    'level-up',
    { oldLevel: 1, newLevel: 3, lifetimePoints: 650, perks: ['silver_badge'] },
  ]);
  const correction = { ...award, points: -600, reference: 'order-1 called off' };
  await call('backend', 'POST', '/api/points/awards', correction);
  await heard();
  const { points, lifetimePoints, level, nextLevel } = await call('bob', 'GET', '/api/points/me');
  assert.deepEqual([points, lifetimePoints, level, nextLevel.points], [50, 50, 1, 100]);
});
