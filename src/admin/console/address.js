// What stands in the address: the page and its query, as `#/rooms?prefix=conversation`.

export function hrefOf(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(pairs).toString();
  return `#/${path}${text && `?${text}`}`;
}

export function here() {
  const [, path = '', query = ''] = location.hash.match(/^#\/([^?]*)\??(.*)$/) ?? [];
  return { path, query: new URLSearchParams(query) };
}

export function go(path, query) {
  location.hash = hrefOf(path, query);
}
