// node `ws`, the broadcast of its README. node node_ws.js PORT
const WebSocket = require('ws');
const server = new WebSocket.WebSocketServer({ port: +process.argv[2], host: '127.0.0.1', backlog: 4096, perMessageDeflate: false });
server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (!request.url.startsWith('/pub')) { socket.follows = true; return; }
  socket.on('message', (data, isBinary) => {
    server.clients.forEach((other) => {
      if (other.follows && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
    });
  });
});
