// What went over a socket, the latest first: so many, and no more.

import { element, keep, say } from './element.js';
import { clock, number } from './words.js';

const MOST = 200;
const LONGEST = 8000;
const SHORT = 60;
const WORDS = { in: 'heard', out: 'said', ack: 'answer', state: 'socket' };

// Bytes have no words in JSON.
const told = (key, value) => (value instanceof ArrayBuffer ? `${value.byteLength} bytes` : value);

function textOf(args) {
  const written = (space) => args.map((value) => (value === undefined ? '' : JSON.stringify(value, told, space))).join(', ');
  const short = written();
  const text = short.length > SHORT ? written(2) : short;
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${number(text.length)} characters)` : text;
}

function makeFrame({ way, name, text, at }) {
  return element('li', { attributes: { 'data-way': way } },
    element('p', {}, element('span', { className: 'way', textContent: WORDS[way] }), ' ', element('strong', { className: 'mono', textContent: name }),
      ' ', element('time', { className: 'hint', dateTime: at.toISOString(), textContent: clock(at) })),
    ...(text ? [element('pre', { textContent: text })] : []));
}

export function makeFrames() {
  let [frames, next, heldAt] = [[], 0, null];
  const list = element('ol', { className: 'frames', ariaLabel: 'Frames', tabIndex: 0 });
  const empty = element('p', { className: 'empty', textContent: 'Nothing was said or heard.' });
  const state = element('p', { className: 'hint', attributes: { role: 'status' } });
  const hold = element('button', { type: 'button', textContent: 'Hold', attributes: { 'aria-pressed': 'false' }, onclick() {
    heldAt = heldAt === null ? next : null;
    hold.setAttribute('aria-pressed', String(heldAt !== null));
    say(hold, heldAt === null ? 'Hold' : 'Go on');
    draw();
  } });
  const clear = element('button', { type: 'button', className: 'quiet', textContent: 'Clear', onclick() {
    frames = [];
    keep(list, frames);
    draw();
  } });

  function draw() {
    const more = heldAt === null ? 0 : next - heldAt;
    say(state, heldAt === null ? '' : more ? `Held still: ${number(more)} more came since.` : 'Held still.');
    if (heldAt === null) keep(list, frames, ({ key }) => key, makeFrame, () => {});
    list.hidden = !list.firstChild;
    empty.hidden = !list.hidden;
  }

  draw();
  return {
    parts: [element('div', { className: 'frames-head' }, element('h4', { textContent: 'Frames' }),
      element('p', { className: 'hint', textContent: `the latest first; the last ${MOST}` }), element('span', { className: 'deeds' }, hold, clear)), state, list, empty],
    // `way` is in, out, ack or state.
    add(way, name, ...args) {
      next += 1;
      frames = [{ way, name, text: textOf(args), at: new Date(), key: `f${next}` }, ...frames].slice(0, MOST);
      draw();
    },
  };
}
