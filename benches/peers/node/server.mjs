// The peer most apps run today: Node's http server, socket.io, ws.
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";
import { serve } from "../app.mjs";

const http = createServer();
serve(new Server(http), jwt);
http.listen(Number(process.env.PORT), "127.0.0.1");
