// The same work on Socket.IO 4, as its own documentation would have it: WebSocket alone, rooms, the default parser, no compression, and the
// request of the handshake let go (its page on memory usage).
//
// In: `node server.js TOKEN`; members `join` a room, publishers `publish` an event for one. Out: the event to the room, and one line with the port.
// Ends with its standard input.
import { createServer } from "node:http";
import { Server } from "socket.io";

const token = process.argv[2];
const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false, perMessageDeflate: false, httpCompression: false });

io.engine.on("connection", (socket) => {
  socket.request = null;
});
io.use((socket, next) => next(socket.handshake.auth.token === token ? undefined : new Error("unauthorized")));
io.on("connection", (socket) => {
  socket.on("join", (room, done) => {
    socket.join(room);
    done();
  });
  socket.on("publish", (room, value) => io.to(room).emit("live", value));
});

http.listen(0, "127.0.0.1", () => console.log(`listening ${http.address().port}`));
process.stdin.on("end", () => process.exit(0)).resume();
