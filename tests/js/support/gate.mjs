// A TCP proxy that holds websocket requests back until it is told to let them through, so that a
// test decides when a change of transport happens.

import { connect, createServer } from 'node:net';
import { after } from 'node:test';

/** Starts a gate in front of the server; `open()` lets the websockets through. */
export async function gateBefore(server) {
  let open;
  const opened = new Promise((resolve) => (open = resolve));
  const sockets = new Set();
  const gate = createServer((client) => {
    const upstream = connect(server.port, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    client.once('data', async (head) => {
      client.pause();
      if (/^upgrade: websocket/im.test(head.toString('latin1'))) await opened;
      upstream.write(head);
      client.pipe(upstream);
    });
  });
  await new Promise((resolve) => gate.listen(0, '127.0.0.1', resolve));
  after(() => {
    gate.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://127.0.0.1:${gate.address().port}`, open };
}
