// The contender on Node: the ws package, the frame made once, its bytes written to every socket.
// Says its port on standard output, then obeys the lines of standard input: `prepare`, `round`; answers `done`.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [folder, file] = process.argv.slice(2);
const { WebSocketServer, Sender } = createRequire(`${folder}/`)('ws');
const payload = readFileSync(file);
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4096 });

function round() {
  const parts = Sender.frame(payload, { fin: true, rsv1: false, opcode: 1, mask: false, readOnly: true });
  const frame = Buffer.concat(parts);
  for (const client of server.clients) client._socket.write(frame);
}

server.on('connection', (socket) => socket.on('error', () => socket.terminate()));
server.on('listening', () => console.log(server.address().port));
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  if (line === 'round') round();
  else if (globalThis.gc) globalThis.gc();
  console.log('done');
});
lines.on('close', () => process.exit(0));
