// The key figures: connections, events, trouble, memory; each with what it was in the last minutes.

import { byId, element, say, showProblem, svg } from './element.js';
import { History, Rate, byLabel, parse, sum } from './metrics.js';

const WINDOW_MS = 5 * 60_000;
const WIDTH = 240;
const HEIGHT = 44;

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });

const number = (value) => (value >= 100_000 ? short : whole).format(value);
const rate = (value) => (value > 0 && value < 10 ? value.toFixed(1) : number(value));
const mebibytes = (bytes) => (bytes / 2 ** 20).toFixed(bytes < 100 * 2 ** 20 ? 1 : 0);
const list = (pairs) => pairs.slice(0, 3).map(([name, value]) => `${name} ${number(value)}`).join(' · ');

class Figure {
  #shown;

  constructor(title, unit) {
    this.value = element('strong', { textContent: '–' });
    this.about = element('p', { className: 'hint', textContent: ' ' });
    this.area = svg('path', { class: 'area' });
    this.line = svg('path', { class: 'line' });
    this.chart = svg('svg', {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
    }, this.area, this.line);
    this.card = element('article', { className: 'figure' },
      element('h3', { textContent: title }),
      element('p', { className: 'value' }, this.value, element('span', { textContent: unit })),
      this.about, this.chart);
  }

  show(value, about, history, now, alarming = false) {
    say(this.value, value);
    say(this.about, about || ' ');
    this.about.title = about;
    this.card.classList.toggle('alarming', alarming);
    const shown = JSON.stringify([history.points.length, now]);
    if (shown !== this.#shown) this.#draw(history, now);
    this.#shown = shown;
  }

  // A gap in the scrapes, as while the tab was hidden, is a gap in the line.
  #draw({ points, peak }, now) {
    const top = peak > 0 ? peak * 1.1 : 1;
    const x = (time) => (WIDTH * (1 - (now - time) / WINDOW_MS)).toFixed(1);
    const y = (value) => (HEIGHT - 1 - (HEIGHT - 3) * (value / top)).toFixed(1);
    const runs = [];
    for (const [index, point] of points.entries()) {
      if (index === 0 || point.time - points[index - 1].time > 15_000) runs.push([]);
      runs.at(-1).push(point);
    }
    const line = (run) => run.map(({ time, value }) => `${x(time)},${y(value)}`).join('L');
    this.line.setAttribute('d', runs.map((run) => `M${line(run)}`).join(''));
    this.area.setAttribute('d', runs.map((run) =>
      `M${x(run[0].time)},${HEIGHT}L${line(run)}L${x(run.at(-1).time)},${HEIGHT}Z`).join(''));
  }
}

const cards = {
  connections: new Figure('Connections', ''),
  received: new Figure('Events in', '/s'),
  delivered: new Figure('Events out', '/s'),
  slow: new Figure('Slow consumers', ''),
  refused: new Figure('Refused handshakes', ''),
  memory: new Figure('Memory', 'MiB'),
};
let histories;

// Begins anew, as for another session.
export function reset() {
  histories = {
    connections: new History(WINDOW_MS), memory: new History(WINDOW_MS),
    received: new Rate(WINDOW_MS), failed: new Rate(WINDOW_MS), delivered: new Rate(WINDOW_MS),
    slow: new Rate(WINDOW_MS), refused: new Rate(WINDOW_MS),
  };
  byId('figures').replaceChildren(...Object.values(cards).map(({ card }) => card));
}

function showRate(card, history, trouble, now) {
  const about = trouble || (history.peak > 0 ? `peak ${rate(history.peak)}/s in 5 min` : 'none in 5 min');
  card.show(history.last === null ? '–' : rate(history.last), history.last === null ? '' : about, history, now);
}

// Trouble counts from the server's start; what is new of it stands out.
function showTrouble(card, total, what, why, history, now) {
  const gained = history.gained;
  const news = total === 0 ? `none ${what}` : `${gained > 0 ? number(gained) : 'none'} ${what} in 5 min`;
  card.show(number(total), [news, why].filter(Boolean).join(' · '), history, now, gained > 0);
}

export function show(text, now) {
  const series = parse(text);
  const totals = {
    connections: sum(series, 'stoa_connections'),
    memory: sum(series, 'process_resident_memory_bytes'),
    received: sum(series, 'stoa_events_received_total'),
    failed: sum(series, 'stoa_events_received_total', ({ outcome }) => outcome !== 'ok'),
    delivered: sum(series, 'stoa_events_delivered_total'),
    slow: sum(series, 'stoa_slow_consumers_closed_total'),
    refused: sum(series, 'stoa_handshakes_refused_total'),
  };
  for (const [name, history] of Object.entries(histories)) {
    if (history instanceof Rate) history.scrape(now, totals[name]);
    else history.add(now, totals[name]);
  }
  const { connections, memory, received, failed, delivered, slow, refused } = histories;
  const namespaces = byLabel(series, 'stoa_connections', 'namespace');
  cards.connections.show(number(totals.connections), list(namespaces), connections, now);
  showRate(cards.received, received, failed.last > 0 ? `${rate(failed.last)}/s of them refused` : '', now);
  showRate(cards.delivered, delivered, '', now);
  showTrouble(cards.slow, totals.slow, 'closed', '', slow, now);
  const reasons = byLabel(series, 'stoa_handshakes_refused_total', 'reason');
  showTrouble(cards.refused, totals.refused, 'refused', list(reasons), refused, now);
  cards.memory.show(mebibytes(totals.memory), `peak ${mebibytes(memory.peak)} MiB in 5 min`, memory, now);
}

export const showFigureProblem = (problem) => showProblem(byId('figures-answer'), problem);
