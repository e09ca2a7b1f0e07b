// What a test ends when it is over: what began last ends first, so that no page is left without its server.

const ends = new WeakMap();

/** Has the test `t` do this at its end, before what it was to do already. */
export function atEnd(t, end) {
  const known = ends.get(t);
  if (known) return known.push(end);
  const all = [end];
  ends.set(t, all);
  t.after(async () => {
    const failed = [];
    for (const end of all.reverse()) await Promise.resolve().then(end).catch((error) => failed.push(error));
    if (failed.length > 0) throw failed[0];
  });
}
