// Waiting for something with a deadline instead of sleeping.

/** How long anything a test waits for may take, in milliseconds; far beyond what it does take. */
export const DEADLINE_MS = 15_000;

/** The promise's outcome, or a failure that says what did not happen in time. */
export function within(promise, what, deadlineMs = DEADLINE_MS) {
  let timer;
  const expired = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what()} did not happen within ${deadlineMs} ms`)),
      deadlineMs,
    );
  });
  return Promise.race([promise, expired]).finally(() => clearTimeout(timer));
}

/** The arguments of the emitter's next event of this name. */
export function once(emitter, name, deadlineMs) {
  const heard = new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));
  return within(heard, () => `"${name}"`, deadlineMs);
}
