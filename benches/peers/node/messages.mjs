// A chat as most apps on Node have it: Socket.IO and better-sqlite3, one durable transaction a
// message, then the room is told, then the sender.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import Database from "better-sqlite3";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";
import { serve } from "../app.mjs";

const db = new Database(process.env.DATABASE);
db.pragma("journal_mode = WAL");
db.pragma("synchronous = FULL");
db.exec(`
  CREATE TABLE conversations (id TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL);
  CREATE TABLE messages (
    id TEXT NOT NULL PRIMARY KEY,
    conversation_id TEXT NOT NULL REFERENCES conversations (id),
    seq INTEGER NOT NULL,
    sender_id TEXT NOT NULL,
    content TEXT NOT NULL,
    client_message_id TEXT,
    created_at INTEGER NOT NULL,
    UNIQUE (conversation_id, sender_id, client_message_id)
  );
  CREATE TABLE events (
    conversation_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    wire TEXT NOT NULL,
    PRIMARY KEY (conversation_id, seq)
  );
`);
const begin = db.prepare("INSERT OR IGNORE INTO conversations VALUES (?, 0)");
const number = db.prepare("UPDATE conversations SET seq = seq + 1 WHERE id = ? RETURNING seq").pluck();
const insertMessage = db.prepare("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?)");
const insertEvent = db.prepare("INSERT INTO events VALUES (?, ?, ?)");

const store = db.transaction((userId, { conversationId, content, clientMessageId }) => {
  const seq = number.get(conversationId);
  const now = Date.now();
  const message = {
    messageId: randomUUID(),
    conversationId,
    content,
    sender: { id: userId, firstName: null, lastName: null },
    createdAt: new Date(now).toISOString(),
    attachments: [],
    replyTo: null,
    clientMessageId,
    seq,
  };
  insertMessage.run(message.messageId, conversationId, seq, userId, content, clientMessageId, now);
  insertEvent.run(conversationId, seq, JSON.stringify(message));
  return message;
});

const http = createServer();
const io = new Server(http);
serve(io, jwt);
io.on("connection", (socket) => {
  socket.on("conversation:join", (conversationId) => begin.run(conversationId));
  socket.on("message:send", (draft, ack) => {
    try {
      const message = store(socket.data.userId, draft);
      socket.to(`conversation:${draft.conversationId}`).emit("message:new", message);
      ack({ success: true, message });
    } catch (error) {
      ack({ success: false, error: error.message });
    }
  });
});
http.listen(Number(process.env.PORT), "127.0.0.1");
