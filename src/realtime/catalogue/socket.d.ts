// The events of this server, for socket.io-client. Generated from the server's catalogue.
//
//     import { io } from "socket.io-client";
//     import type { StoaSocket } from "./events";
//     const socket: StoaSocket = io(url, { auth: { token } });

import type { Socket } from "socket.io-client";

type Listener = (...all: any[]) => void;

/** The arguments of an event without its acknowledgement, if it has one. */
type Arguments<Event extends Listener> = Parameters<Event> extends [...infer All, Listener]
  ? All
  : Parameters<Event>;

/** What an event is acknowledged with. */
type Answer<Event extends Listener> = Parameters<Event> extends [...unknown[], infer Callback]
  ? Callback extends (...all: infer All) => void
    ? All extends [...unknown[], infer Last] ? Last : void
    : never
  : never;

/** The same events, of which an answer is awaited for some time only. */
type InTime<Events> = {
  [Event in keyof Events]: Events[Event] extends Listener
    ? (...all: [...Arguments<Events[Event]>, (error: Error | null, answer: Answer<Events[Event]>) => void]) => void
    : never;
};

/**
 * A socket of `io()` that knows the events of this server. An app adds its own by extension:
 * `interface Heard extends ServerToClientEvents { "cart:changed": (cart: Cart) => void }`, and
 * `StoaSocket<Heard>`.
 */
export type StoaSocket<
  Listened extends { [Event in keyof Listened]: Listener } = ServerToClientEvents,
  Emitted extends { [Event in keyof Emitted]: Listener } = ClientToServerEvents,
> = {
  emit<Event extends keyof Emitted>(
    event: Event,
    ...all: Parameters<Emitted[Event]> | Arguments<Emitted[Event]>
  ): StoaSocket<Listened, Emitted>;
  emitWithAck<Event extends keyof Emitted>(
    event: Event,
    ...all: Arguments<Emitted[Event]>
  ): Promise<Answer<Emitted[Event]>>;
  timeout(ms: number): StoaSocket<Listened, InTime<Emitted>>;
} & Socket<Listened, Emitted>;
