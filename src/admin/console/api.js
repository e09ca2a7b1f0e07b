// Asks the server this page came from. A failure is a Problem, in the server's own words.

const TIMEOUT_MS = 8000;
const STORED = 'stoa.credential';

export class Problem extends Error {
  constructor({ status = 0, title, detail, code = '', requestId = '', errors = [] }) {
    super(detail);
    Object.assign(this, { status, title, detail, code, requestId, errors });
  }
}

// A token is three parts with dots, of which the first is base64 of `{"`; anything else is a key.
const isToken = (credential) => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(credential);

export const session = {
  get credential() {
    return sessionStorage.getItem(STORED);
  },
  set credential(value) {
    if (value) sessionStorage.setItem(STORED, value);
    else sessionStorage.removeItem(STORED);
  },
};

function credentials(credential) {
  if (!credential) return {};
  return isToken(credential) ? { Authorization: `Bearer ${credential}` } : { 'X-Api-Key': credential };
}

async function problem(response) {
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const told = isJson ? await response.json().catch(() => ({})) : {};
  return new Problem({
    title: `${response.status} ${response.statusText}`,
    detail: 'The server did not say why.',
    ...told,
    status: response.status,
  });
}

// The response, whatever its status. Cookies are not sent: the credential alone says who asks.
export async function ask(path, { method = 'GET', body, credential = session.credential } = {}) {
  const headers = credentials(credential);
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await fetch(path, { method, body, headers, signal, credentials: 'omit', cache: 'no-store' });
  } catch (error) {
    const late = error.name === 'TimeoutError';
    throw new Problem({
      title: 'No answer',
      detail: late ? `The server did not answer within ${TIMEOUT_MS / 1000} seconds.` : 'The server can’t be reached.',
    });
  }
}

// Amounts have more digits than a number of JavaScript: they stay as they were written.
const exact = (key, value, { source } = {}) => (/amount$/i.test(key) && typeof value === 'number' ? source ?? value : value);

// The answer of a call that must succeed, as JSON or as text.
export async function call(path, options) {
  const response = await ask(path, options);
  if (!response.ok) throw await problem(response);
  try {
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    const text = await response.text();
    return isJson ? JSON.parse(text, exact) : text;
  } catch {
    throw new Problem({ title: 'No answer', detail: 'The answer did not arrive whole.' });
  }
}

// Hears server-sent events until the server ends its answer, or `signal` ends it here. `begins` is called when
// the server has begun to answer.
export async function listen(path, signal, heard, begins) {
  let response;
  try {
    response = await fetch(path, { headers: credentials(session.credential), signal, credentials: 'omit', cache: 'no-store' });
  } catch {
    throw new Problem({ title: 'No answer', detail: 'The server can’t be reached.' });
  }
  if (!response.ok) throw await problem(response);
  begins();
  const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let unread = ''; ;) {
    const { value, done } = await text.read();
    if (done) return;
    const blocks = (unread + value).split('\n\n');
    unread = blocks.pop();
    for (const block of blocks) {
      const [, name, data] = block.match(/^event: (.*)\ndata: (.*)$/) ?? [];
      if (name) heard(name, JSON.parse(data));
    }
  }
}
