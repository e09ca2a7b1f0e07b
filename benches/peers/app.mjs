// What Node and Bun serve: a JWT at the handshake, rooms to join, `typing:start` relayed,
// and with PRESENCE=on who came and went, told to all.
export function serve(io, jwt) {
  const { JWT_SECRET, PRESENCE } = process.env;
  const connections = new Map();

  io.use((socket, next) => {
    try {
      const { token } = socket.handshake.auth;
      socket.data.userId = jwt.verify(token, JWT_SECRET, { algorithms: ["HS256"] }).userId;
      next();
    } catch (error) {
      next(new Error(`Authentication error: ${error.message}`));
    }
  });

  io.on("connection", (socket) => {
    const { userId } = socket.data;
    socket.on("conversation:join", (conversationId, ack) => {
      const room = `conversation:${conversationId}`;
      socket.join(room);
      ack({ success: true, conversationId, room });
    });
    socket.on("typing:start", ({ conversationId, userName }) => {
      socket
        .to(`conversation:${conversationId}`)
        .emit("typing:start", { userId, userName, conversationId });
    });
    if (PRESENCE !== "on") return;
    const before = connections.get(userId) ?? 0;
    connections.set(userId, before + 1);
    if (before === 0) socket.broadcast.emit("user:online", { userId });
    socket.on("disconnect", () => {
      const left = connections.get(userId) - 1;
      connections.set(userId, left);
      if (left === 0) socket.broadcast.emit("user:offline", { userId });
    });
  });
}
