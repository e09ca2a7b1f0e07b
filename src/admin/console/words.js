// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' });

export const number = (value) => (value >= 100_000 ? short : whole).format(value);

export const rate = (value) => (value > 0 && value < 10 ? value.toFixed(value < 1 ? 2 : 1) : number(value));

export const many = (count, one, others = `${one}s`) => `${number(count)} ${count === 1 ? one : others}`;

export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (value >= 1000 && at < units.length - 1) [value, at] = [value / 1000, at + 1];
  return `${value < 10 && at ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

export function seconds(value) {
  if (value >= 1) return `${value.toFixed(value < 10 ? 1 : 0)} s`;
  const ms = value * 1000;
  return ms >= 1 || ms === 0 ? `${ms.toFixed(ms < 10 && ms ? 1 : 0)} ms` : `${(ms * 1000).toFixed(0)} µs`;
}

export function duration(ms) {
  const minutes = Math.floor(ms / 60_000);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24];
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes % 60} min`;
  return minutes ? `${minutes} min` : `${Math.max(0, Math.floor(ms / 1000))} s`;
}

const two = (part) => String(part).padStart(2, '0');

// By the clock of whoever looks.
export function clock(time) {
  const date = new Date(time);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
}
