// Tokens as another backend makes them: HS256 over the secret it shares with the server.

import jwt from 'jsonwebtoken';

export const SECRET = 'a-secret-of-the-tests-with-at-least-32-bytes';

/** A token of this user; `claims` adds roles, rooms, times (`exp`, `nbf`: Unix seconds). */
export function tokenFor(userId, claims = {}) {
  const expiry = 'exp' in claims ? {} : { expiresIn: '1h' };
  return jwt.sign({ userId, email: `${userId}@example.org`, ...claims }, SECRET, expiry);
}

/** A moment as tokens write it: Unix seconds, so many from now. */
export function secondsFromNow(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}
