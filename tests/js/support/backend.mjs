// A backend in Node that answers events of clients, as an app's own does: it verifies questions with
// the library of Standard Webhooks, and answers with what `answer` makes of them.

import { createServer } from 'node:http';
import { after } from 'node:test';

import { Webhook } from 'standardwebhooks';

/** What the backend and the server share. */
const SECRET = `whsec_${Buffer.from('stoa tests, 32 bytes of a secret').toString('base64')}`;

/** Starts one, which ends with the tests of the file or suite. */
export async function startBackend(answer) {
  const backend = new Backend(answer);
  after(() => backend.stop());
  await backend.start();
  return backend;
}

class Backend {
  #answer;
  #server;
  #port = 0;
  /** Questions that could not be verified. */
  refused = [];

  constructor(answer) {
    this.#answer = answer;
  }

  /** Has a server ask it for these events. */
  environment(events, more = {}) {
    return {
      PROXY_URL: `http://127.0.0.1:${this.#port}/stoa`,
      PROXY_SECRET: SECRET,
      PROXY_EVENTS: events,
      ...more,
    };
  }

  /** Listens, again at the same port after it was stopped. */
  async start() {
    const webhook = new Webhook(SECRET);
    this.#server = createServer(async (request, response) => {
      let body = '';
      for await (const part of request.setEncoding('utf8')) body += part;
      let question;
      try {
        question = webhook.verify(body, request.headers);
      } catch (error) {
        this.refused.push(error);
        response.writeHead(401).end();
        return;
      }
      const answer = JSON.stringify(await this.#answer(question));
      response.writeHead(200, { 'content-type': 'application/json' }).end(answer);
    });
    await new Promise((listening) => this.#server.listen(this.#port, '127.0.0.1', listening));
    this.#port = this.#server.address().port;
  }

  /** Is gone, with its connections. */
  async stop() {
    const ended = new Promise((closed) => this.#server.close(closed));
    this.#server.closeAllConnections();
    await ended;
  }
}
