// A TCP proxy that cuts, stalls and half-closes connections at random, so that clients come back.

import { connect, createServer } from 'node:net';
import { after } from 'node:test';

/**
 * Starts a proxy in front of the server. While it is `wild` each connection lives for a random time
 * of up to `life` milliseconds; `random` gives numbers from 0 to 1.
 */
export async function cuttingProxy(server, { life = 400, random = Math.random } = {}) {
  const pairs = new Set();
  const proxy = { wild: false, cuts: 0 };
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = connect({ port: server.port, host: server.host ?? '127.0.0.1', allowHalfOpen: true });
    const pair = { client, upstream };
    pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      pairs.delete(pair);
    };
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.on('error', end).on('close', end).on('end', () => to.end());
      from.pipe(to);
    }
    if (proxy.wild) setTimeout(() => cut(pair, end), random() * life).unref();
  });

  function cut({ client, upstream }, end) {
    if (!proxy.wild || client.destroyed) return;
    proxy.cuts += 1;
    const way = random();
    if (way < 0.5) return end();
    if (way < 0.75) {
      // The client hears nothing more, and its server does not know yet.
      upstream.unpipe(client);
      client.unpipe(upstream);
      upstream.resume();
      setTimeout(() => client.destroy(), random() * life).unref();
      setTimeout(end, 4 * life).unref();
      return;
    }
    client.end();
    setTimeout(end, random() * life).unref();
  }

  /** Cuts all that there is now. */
  proxy.cutAll = () => {
    for (const { client, upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
    pairs.clear();
  };
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
  after(() => {
    listener.close();
    proxy.cutAll();
  });
  proxy.url = `http://127.0.0.1:${listener.address().port}`;
  return proxy;
}
