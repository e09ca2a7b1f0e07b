// Reads Prometheus' text format, and keeps what a few minutes of scrapes say.

const SAMPLE = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"/g;

// name → [{ labels, value }]
export function parse(text) {
  const series = new Map();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = line.match(SAMPLE) ?? [];
    if (!name) continue;
    if (!series.has(name)) series.set(name, []);
    const pairs = [...labels.matchAll(LABEL)].map(([, key, text]) =>
      [key, text.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c))]);
    series.get(name).push({ labels: Object.fromEntries(pairs), value: Number(value) });
  }
  return series;
}

export function sum(series, name, where = () => true) {
  const samples = series.get(name) ?? [];
  return samples.filter(({ labels }) => where(labels)).reduce((total, { value }) => total + value, 0);
}

// The largest first.
export function byLabel(series, name, label) {
  const totals = new Map();
  for (const { labels, value } of series.get(name) ?? []) {
    totals.set(labels[label], (totals.get(labels[label]) ?? 0) + value);
  }
  return [...totals].filter(([, value]) => value > 0).sort(([, one], [, other]) => other - one);
}

// Values over time, of the last `windowMs`; for a counter also what each scrape added.
export class History {
  points = [];

  constructor(windowMs) {
    this.windowMs = windowMs;
  }

  add(time, value, gain = 0) {
    this.points.push({ time, value, gain });
    while (this.points[0].time < time - this.windowMs) this.points.shift();
  }

  get last() {
    return this.points.at(-1)?.value ?? null;
  }

  get gained() {
    return this.points.reduce((total, { gain }) => total + gain, 0);
  }

  get peak() {
    return this.points.reduce((peak, { value }) => Math.max(peak, value), 0);
  }
}

// A counter's increase, a second; nothing for the first scrape and after a restart.
export class Rate extends History {
  #before = null;

  scrape(time, total) {
    const before = this.#before;
    this.#before = { time, total };
    if (before && total >= before.total && time > before.time) {
      const gain = total - before.total;
      this.add(time, gain / ((time - before.time) / 1000), gain);
    }
  }
}
