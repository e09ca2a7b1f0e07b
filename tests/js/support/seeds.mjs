// The Node servers that apps run today, as the documents of their events describe them: one for chat,
// whose sockets show a token, and one for the marketplace, whose sockets show none.

import { createServer } from 'node:http';
import { after } from 'node:test';

import jwt from 'jsonwebtoken';
import { Server as Server4 } from 'socket.io';
import Server2 from 'socket.io-2';

import { SECRET } from './tokens.mjs';

const HEARTBEAT = { pingInterval: 25_000, pingTimeout: 60_000 };

/** A server of today's version, which also takes clients of 2.x; `options` are its own. */
const current = (http, options) => new Server4(http, { ...HEARTBEAT, allowEIO3: true, ...options });
/** A server of 2.x. */
export const older = (http, options) => new Server2(http, { ...HEARTBEAT, ...options });

/** Starts a chat server. */
export function startChat(make = current, options = {}) {
  return start(make, options, (io) => {
    io.use((socket, next) => {
      const { auth, headers } = socket.handshake;
      const token = auth?.token || headers.authorization?.split(' ')[1] || cookie(headers, 'token');
      if (!token) return next(new Error('Authentication error: No token provided'));
      try {
        socket.userId = jwt.verify(token, SECRET).userId;
        next();
      } catch (error) {
        next(new Error(`Authentication error: ${error.message}`));
      }
    });
    io.on('connection', (socket) => {
      const { userId } = socket;
      const sender = { id: userId, firstName: 'Ann', lastName: null };
      let messages = 0;
      socket.broadcast.emit('user:online', { userId });
      socket.on('disconnect', () => socket.broadcast.emit('user:offline', { userId }));
      socket.on('conversation:join', (conversationId, callback) => {
        const room = `conversation:${conversationId}`;
        socket.join(room);
        if (typeof callback === 'function') callback({ success: true, conversationId, room });
      });
      socket.on('conversation:leave', (conversationId, callback) => {
        socket.leave(`conversation:${conversationId}`);
        if (typeof callback === 'function') callback({ success: true, conversationId });
      });
      socket.on('message:send', ({ conversationId, content }, callback) => {
        const messageId = `${userId}-${(messages += 1)}`;
        const message = { messageId, conversationId, content, sender };
        socket.to(`conversation:${conversationId}`).emit('message:new', message);
        if (typeof callback === 'function') callback({ success: true });
      });
      socket.on('typing:start', ({ conversationId, userName }) => {
        const typing = { userId, userName, conversationId };
        socket.to(`conversation:${conversationId}`).emit('typing:start', typing);
      });
      socket.on('typing:stop', ({ conversationId }) => {
        socket.to(`conversation:${conversationId}`).emit('typing:stop', { userId, conversationId });
      });
    });
  });
}

/** Starts a marketplace server. */
export function startMarket(make = current, options = {}) {
  return start(make, options, (io) => {
    io.on('connection', (socket) => {
      const rooms = {
        user: (id) => [`user-${id}`],
        request: (id) => [`request-${id}`],
        seller: (id) => [`seller-${id}`, 'sellers'],
        buyer: (id) => [`buyer-${id}`, 'buyers'],
        chat: (id) => [`chat-${id}`],
      };
      for (const [kind, of] of Object.entries(rooms)) {
        socket.on(`join-${kind}-room`, (id) => of(id).forEach((room) => socket.join(room)));
        socket.on(`leave-${kind}-room`, (id) => of(id).forEach((room) => socket.leave(room)));
      }
      socket.on('user-online', (userId) => {
        socket.join(`user-${userId}`);
        const lastSeen = new Date().toISOString();
        io.emit('user-status-change', { userId, status: 'online', lastSeen });
      });
      socket.on('typing-start', ({ chatId, userId, userName }) => {
        socket.to(`chat-${chatId}`).emit('user-typing', { userId, userName, isTyping: true });
      });
      socket.on('typing-stop', ({ chatId, userId }) => {
        socket.to(`chat-${chatId}`).emit('user-typing', { userId, isTyping: false });
      });
    });
  });
}

async function start(make, options, serve) {
  const http = createServer((_, answer) => answer.end('REST'));
  const io = make(http, options);
  serve(io);
  await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
  after(() => {
    io.close();
    http.closeAllConnections();
  });
  return {
    io,
    url: `http://127.0.0.1:${http.address().port}`,
    emitGlobalEvent: (event, data) => io.emit(event, data),
    emitToRoom: (room, event, data) => io.to(room).emit(event, data),
  };
}

function cookie(headers, wanted) {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  return pairs.find(([name]) => name === wanted)?.[1];
}
