// A figure over time: axes, the values under the pointer or by the arrow keys, and the same as a table.

import { element, keep, say, svg, table } from './element.js';
import { bytes, clock, number, rate, seconds } from './words.js';

const [WIDTH, HEIGHT] = [600, 120];
const MINUTE = 60_000;
const LEAST_MINUTES = 5;
// Beyond so much of a step nothing was read.
const GAP_STEPS = 2.5;
const FORMATS = {
  '/s': (value) => `${rate(value)}/s`,
  s: seconds,
  B: bytes,
  cores: (value) => `${(100 * value).toFixed(value && value < 0.1 ? 1 : 0)} %`,
  '': (value) => number(value),
};

export const formatOf = (unit) => FORMATS[unit] ?? FORMATS[''];

// The next round number; half of a count is one, too.
function roundUp(value, unit) {
  if (!(value > 0)) return { s: 0.001, cores: 0.1, '': 2 }[unit] ?? 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = unit === '' ? [2, 4, 6, 8, 10] : [1, 2, 5, 10];
  const step = steps.find((step) => step * power >= value * 0.999);
  return step * power;
}

export class Chart {
  #lines = [];
  #times = [];
  #unit = '';
  #stepMs = 10_000;
  #at = null;
  #from = 0;
  #span = 1;

  constructor(title, about) {
    this.title = title;
    this.moment = element('p', { className: 'hint chart-moment' });
    this.legend = element('ul', { className: 'legend' });
    this.drawn = svg('g');
    this.grid = svg('path', { class: 'grid', d: [0, 0.5, 1].map((part) => `M0,${HEIGHT * part}H${WIDTH}`).join('') });
    this.cursor = svg('path', { class: 'cursor', d: '' });
    this.plot = element('div', {
      className: 'plot', tabIndex: 0, role: 'slider', ariaLabel: title, ariaValueMin: '0', ariaValueMax: '0', ariaValueNow: '0',
    }, svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.grid, this.drawn, this.cursor));
    this.ups = [0, 1, 2].map(() => element('span'));
    this.alongs = [0, 1, 2].map(() => element('span'));
    this.details = element('details', { className: 'as-table' }, element('summary', { textContent: 'As a table' }));
    this.card = element('section', { className: 'panel chart', ariaLabel: title },
      element('header', {}, element('h3', { textContent: title }), element('p', { className: 'hint', textContent: about }), this.moment),
      this.legend,
      element('div', { className: 'frame' }, element('div', { className: 'ups', ariaHidden: 'true' }, ...this.ups), this.plot),
      element('div', { className: 'alongs', ariaHidden: 'true' }, ...this.alongs),
      this.details);
    this.#listen();
  }

  // `lines` are `{ name, values }`, as many values as times; null where there was nothing.
  show(times, lines, unit, stepMs) {
    const told = lines.length > 3 ? lines.filter(({ values }) => values.some((value) => value)) : lines;
    this.#lines = told.length ? told : lines.slice(0, 1);
    [this.#times, this.#unit, this.#stepMs] = [times.map(Date.parse), unit, stepMs];
    const last = this.#times.at(-1) ?? Date.now();
    const minutes = Math.max(LEAST_MINUTES, Math.ceil((last - (this.#times[0] ?? last)) / MINUTE / LEAST_MINUTES) * LEAST_MINUTES);
    [this.#from, this.#span] = [last - minutes * MINUTE, minutes * MINUTE];
    const peak = Math.max(0, ...this.#lines.flatMap(({ values }) => values.filter((value) => value !== null)));
    const top = roundUp(peak, unit);
    const format = formatOf(unit);
    this.ups.forEach((label, at) => say(label, format(top * (1 - at / 2))));
    this.alongs.forEach((label, at) => say(label, clock(this.#from + this.#span * at / 2).slice(0, -3)));
    keep(this.drawn, this.#lines, ({ name }) => name,
      () => svg('g', {}, svg('path', { class: 'area' }), svg('path', { class: 'line' })),
      (group, { name, values }) => {
        group.setAttribute('class', `series-${this.#colour(name)}`);
        const [area, line] = this.#paths(values, top);
        group.children[0].setAttribute('d', this.#lines.length === 1 ? area : '');
        group.children[1].setAttribute('d', line);
      });
    this.plot.ariaValueMax = String(Math.max(0, times.length - 1));
    this.#point(this.#at === null ? null : Math.min(this.#at, times.length - 1));
    if (this.details.open) this.#tabulate();
  }

  #colour(name) {
    return this.#lines.findIndex((line) => line.name === name) % 8;
  }

  #x(time) {
    return (WIDTH * (time - this.#from) / this.#span).toFixed(1);
  }

  #paths(values, top) {
    const runs = [];
    let before = null;
    for (const [at, value] of values.entries()) {
      if (value === null || value === undefined) continue;
      const time = this.#times[at];
      if (before === null || time - before > GAP_STEPS * this.#stepMs) runs.push([]);
      runs.at(-1).push([this.#x(time), (HEIGHT - (HEIGHT - 2) * Math.min(1, value / top)).toFixed(1)]);
      before = time;
    }
    // One value alone is a dash.
    for (const run of runs) if (run.length === 1) run.push([(Number(run[0][0]) + 2).toFixed(1), run[0][1]]);
    const text = (run) => run.map((point) => point.join(',')).join('L');
    return [
      runs.map((run) => `M${run[0][0]},${HEIGHT}L${text(run)}L${run.at(-1)[0]},${HEIGHT}Z`).join(''),
      runs.map((run) => `M${text(run)}`).join(''),
    ];
  }

  // Shows the values of a step; the latest where there is none.
  #point(at) {
    this.#at = at;
    const shown = at ?? this.#times.length - 1;
    const format = formatOf(this.#unit);
    const told = this.#lines.map(({ name, values }) => [name, values[shown] ?? null]);
    keep(this.legend, told, ([name]) => name,
      ([name]) => element('li', {}, element('i'), element('span', { textContent: name }), element('b')),
      (item, [name, value]) => {
        item.firstChild.className = `series-${this.#colour(name)}`;
        say(item.lastChild, value === null ? '–' : format(value));
      });
    const time = this.#times[shown];
    say(this.moment, at === null || time === undefined ? '' : clock(time));
    this.cursor.setAttribute('d', at === null || time === undefined ? '' : `M${this.#x(time)},0V${HEIGHT}`);
    this.plot.ariaValueNow = String(Math.max(0, shown));
    const words = told.map(([name, value]) => `${name} ${value === null ? 'nothing' : format(value)}`);
    this.plot.ariaValueText = time === undefined ? 'nothing yet' : `${clock(time)}: ${words.join(', ')}`;
  }

  #listen() {
    const { plot } = this;
    plot.addEventListener('pointermove', ({ clientX }) => {
      if (!this.#times.length) return;
      const { left, width } = plot.getBoundingClientRect();
      const time = this.#from + this.#span * (clientX - left) / width;
      const nearest = this.#times.reduce((best, one, at) => (Math.abs(one - time) < Math.abs(this.#times[best] - time) ? at : best), 0);
      this.#point(nearest);
    });
    for (const end of ['pointerleave', 'blur']) plot.addEventListener(end, () => this.#point(null));
    plot.addEventListener('keydown', (event) => {
      const last = this.#times.length - 1;
      const at = this.#at ?? last;
      const to = {
        ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1,
        PageDown: at - 30, PageUp: at + 30, Home: 0, End: last, Escape: null,
      }[event.key];
      if (to === undefined || last < 0) return;
      event.preventDefault();
      this.#point(to === null ? null : Math.max(0, Math.min(last, to)));
    });
    this.details.addEventListener('toggle', () => this.details.open && this.#tabulate());
  }

  #tabulate() {
    const format = formatOf(this.#unit);
    const made = table(this.title, ['Time', ...this.#lines.map(({ name }) => ({ title: name, number: true }))]);
    for (let at = this.#times.length - 1; at >= 0; at -= 1) {
      const cells = this.#lines.map(({ values }) => element('td', {
        className: 'number', textContent: values[at] === null || values[at] === undefined ? '–' : format(values[at]),
      }));
      made.tBodies[0].append(element('tr', {}, element('th', { scope: 'row', textContent: clock(this.#times[at]) }), ...cells));
    }
    this.details.replaceChildren(this.details.firstChild, element('div', { className: 'scrolls', tabIndex: 0, role: 'region', ariaLabel: `${this.title} as a table` }, made));
  }
}
