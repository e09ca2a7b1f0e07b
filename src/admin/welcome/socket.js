// A Socket.IO client in a page's length, for this page: one websocket, Engine.IO 4 under Socket.IO 5.
// Apps use socket.io-client.

// Connects with a token; `hears` gets each event's name and payload, `changes` every change of state.
// It comes back by itself. Gives `ask`, which emits and waits for the acknowledgement.
export function connect(token, { connected, hears, changes }) {
  const url = new URL('socket.io/?EIO=4&transport=websocket', document.baseURI);
  url.protocol = url.protocol.replace('http', 'ws');
  const waiting = new Map();
  let asked = 0;
  let socket;

  const ask = (event, argument) => new Promise((resolve, reject) => {
    const id = asked++;
    waiting.set(id, { resolve, reject });
    socket.send(`42${id}${JSON.stringify([event, argument])}`);
  });

  // The packets of the default namespace: a type, an acknowledgement's number, JSON.
  function packet(text) {
    const [, type, id, json] = text.match(/^(\d)(\d*)(.*)$/s);
    const data = json ? JSON.parse(json) : undefined;
    if (type === '0') connected(ask);
    if (type === '2') hears(...data);
    if (type === '3') {
      waiting.get(Number(id))?.resolve(data[0]);
      waiting.delete(Number(id));
    }
    if (type === '4') changes('unavailable', data.message);
  }

  function open() {
    changes('unknown', 'connecting');
    socket = new WebSocket(url);
    socket.onmessage = ({ data }) => {
      if (data[0] === '0') socket.send(`40${JSON.stringify({ token })}`);
      if (data[0] === '2') socket.send('3');
      if (data[0] === '4') packet(data.slice(1));
    };
    socket.onclose = () => {
      changes('unreachable', 'not connected');
      for (const { reject } of waiting.values()) reject(new Error('The connection ended.'));
      waiting.clear();
      setTimeout(open, 2000);
    };
  }
  open();
}
