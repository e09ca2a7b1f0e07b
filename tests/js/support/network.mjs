// A network of the kernel's own: each server in a namespace, on a bridge from which it can be taken. What it
// sends, or is sent, is lost then, and nobody is told. It takes Linux and root.

import { spawnSync } from 'node:child_process';
import { after } from 'node:test';

/** So many places for servers, and the address by which they reach what is outside; nothing without the rights. */
export function startNetwork(many) {
  const name = `st${process.pid}`;
  const subnet = `10.199.${process.pid % 256}`;
  const bridge = `${name}b`;
  const made = [];
  const ip = (...args) => spawnSync('ip', args, { stdio: 'ignore' }).status === 0;
  const end = () => made.splice(0).reverse().forEach((args) => ip(...args));
  process.once('exit', end);
  after(end);
  const make = (args, undo) => {
    const isMade = ip(...args);
    if (isMade && undo) made.push(undo);
    return isMade;
  };
  const hasBridge =
    make(['link', 'add', bridge, 'type', 'bridge'], ['link', 'del', bridge]) &&
    make(['address', 'add', `${subnet}.1/24`, 'dev', bridge]) &&
    make(['link', 'set', bridge, 'up']);
  const places = Array.from({ length: many }, (_, at) => {
    const [space, outer, inner] = [`${name}n${at}`, `${name}o${at}`, `${name}i${at}`];
    return {
      address: `${subnet}.${at + 2}`,
      /** What runs a program there. */
      command: ['ip', 'netns', 'exec', space],
      /** Nothing passes to it or from it. */
      cutOff: () => ip('link', 'set', outer, 'nomaster'),
      join: () => ip('link', 'set', outer, 'master', bridge),
      isMade:
        hasBridge &&
        make(['netns', 'add', space], ['netns', 'del', space]) &&
        make(['link', 'add', outer, 'type', 'veth', 'peer', 'name', inner, 'netns', space]) &&
        make(['-n', space, 'address', 'add', `${subnet}.${at + 2}/24`, 'dev', inner]) &&
        make(['-n', space, 'link', 'set', 'lo', 'up']) &&
        make(['-n', space, 'link', 'set', inner, 'up']) &&
        make(['link', 'set', outer, 'up', 'master', bridge]),
    };
  });
  if (places.every(({ isMade }) => isMade)) return { outside: `${subnet}.1`, places };
  end();
  return undefined;
}
