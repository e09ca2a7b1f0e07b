// A TCP link to a service that may be held: nothing passes then, and nobody is told.

import { connect, createServer } from 'node:net';
import { after } from 'node:test';

export async function startLink(to, host = '127.0.0.1') {
  const sockets = new Set();
  const link = { isHeld: false };
  const waiting = [];
  const join = (client) => {
    const server = connect(to, '127.0.0.1');
    for (const [from, into] of [[client, server], [server, client]]) {
      sockets.add(from);
      from.on('error', () => into.destroy()).on('close', () => {
        sockets.delete(from);
        into.destroy();
      });
      from.pipe(into);
      if (link.isHeld) from.pause();
    }
  };
  const listener = createServer((client) => {
    client.on('error', () => {});
    if (link.isHeld) waiting.push(client.pause());
    else join(client);
  });
  link.hold = () => {
    link.isHeld = true;
    for (const socket of sockets) socket.unpipe().pause();
  };
  link.free = () => {
    link.isHeld = false;
    for (const client of waiting.splice(0)) {
      if (!client.destroyed) join(client);
    }
    // What was under way on a link that stood still for long is lost in most networks.
    for (const socket of sockets) {
      if (socket.isPaused()) socket.destroy();
    }
  };
  await new Promise((resolve) => listener.listen(0, host, resolve));
  after(() => {
    listener.close();
    for (const socket of [...sockets, ...waiting]) socket.destroy();
  });
  link.port = listener.address().port;
  return link;
}
