// The last hour as the server has it: all of it once, then what came since.

import { call } from './api.js';

const MOST = 360;

export class History {
  times = [];
  stepMs = 10_000;
  // name → { unit, lines: name → values }
  figures = new Map();
  #askedAt = -Infinity;

  // Asks for what is new, where there may be something. True where there was.
  async refresh() {
    if (performance.now() - this.#askedAt < this.stepMs / 2) return false;
    this.#askedAt = performance.now();
    const last = this.times.at(-1);
    const { stepMs, times, figures } = await call(`api/history${last ? `?after=${encodeURIComponent(last)}` : ''}`);
    this.stepMs = stepMs;
    const before = this.times.length;
    this.times.push(...times);
    for (const { name, unit, lines } of figures) {
      if (!this.figures.has(name)) this.figures.set(name, { unit, lines: new Map() });
      const known = this.figures.get(name).lines;
      for (const { name: line, values } of lines) {
        if (!known.has(line)) known.set(line, new Array(before).fill(null));
        known.get(line).push(...values);
      }
      for (const values of known.values()) {
        while (values.length < this.times.length) values.push(null);
        values.splice(0, values.length - MOST);
      }
    }
    this.times.splice(0, this.times.length - MOST);
    return times.length > 0;
  }

  lines(name) {
    return [...(this.figures.get(name)?.lines ?? [])].map(([name, values]) => ({ name, values }));
  }

  // The latest value of all lines together.
  last(name) {
    const values = this.lines(name).map(({ values }) => values.at(-1)).filter((value) => value !== null && value !== undefined);
    return values.length ? values.reduce((total, value) => total + value, 0) : null;
  }
}
