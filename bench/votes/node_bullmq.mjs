// A peer of `python -m bench.votes`: votes over `ws`, rate limit, check and BullMQ, as a Node pipeline is usually built.
//
//     node node_bullmq.mjs FOLDER SOCKET     (whose node_modules has the packages; the path of the engine's socket)
//
// Three calls of the engine a vote: INCR of the voter's rate, GET of what the voter has used, `Queue.add`. The ack goes
// out when the job is in the queue, which is on disk if the engine syncs before it answers. ioredis puts the
// calls of one turn of the loop into one pipeline. No worker runs, so nothing of what comes after the queue is in
// its figures. Prints its port, then serves until its standard input ends. Tokens are read and not verified.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import process from 'node:process';

const [folder, path] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { Queue } = require('bullmq');
const { Redis } = require('ioredis');
const { WebSocketServer } = require('ws');

const PER_MINUTE = 1e9; // checked, and never reached: the load's voters have no limit
const DAY_MS = 86_400_000;

const connection = new Redis({ path, maxRetriesPerRequest: null, enableAutoPipelining: true });
const queue = new Queue('votes', { connection });
const encode = (type, data) => JSON.stringify({ type, data, timestamp: new Date().toISOString() });
const now = Date.now();
const contestants = Array.from({ length: 12 }, (_, index) => ({
  id: `c${String(index + 1).padStart(2, '0')}`, number: index + 1, name: `Contestant ${index + 1}`, photoUrl: '', status: 'active',
}));
const at = (ms) => new Date(ms).toISOString();
const window = {
  windowId: randomUUID(), state: 'OPEN', opensAt: at(now), closesAt: at(now + DAY_MS), hardClosesAt: at(now + DAY_MS + 5000),
  episode: 1, rulesHash: 'none', rules: {}, contestants,
};
const state = {
  show: null, performance: null, voting: 'OPEN', window, revision: 1, degraded: false, resultsReleased: false, contestants,
};

async function take(socket, voter, vote) {
  try {
    const rate = await connection.incr(`vote_limit:${voter}`);
    if (rate > PER_MINUTE) return socket.send(encode('ERROR', { code: 'RATE_LIMIT', message: '', retryable: true, id: vote.id }));
    await connection.get(`votes:free:${voter}:1`);
    const voteId = randomUUID();
    await queue.add('vote', { voteId, userId: voter, contestantId: vote.contestantId, voteCount: 1, timestamp: Date.now() });
    socket.send(encode('VOTE_ACK', {
      id: vote.id, voteId, status: 'queued', contestantId: vote.contestantId, voteType: 'free', voteCount: 1, remaining: {},
      replayed: false,
    }));
  } catch (error) {
    console.error(error.message);
    socket.send(encode('ERROR', { code: 'TRY_AGAIN', message: '', retryable: true, id: vote.id }));
  }
}

function converse(socket) {
  let voter = null;
  socket.send(encode('WELCOME', { sessionId: randomUUID(), node: 'peer', serverTime: at(Date.now()), pingInterval: 20 }));
  socket.send(encode('STATE_UPDATE', state));
  socket.on('message', (frame) => {
    const message = JSON.parse(frame);
    if (message.type === 'VOTE' && voter !== null) {
      take(socket, voter, message);
    } else if (message.type === 'AUTH') {
      voter = JSON.parse(Buffer.from(message.token.split('.')[1], 'base64url')).sub;
      socket.send(encode('AUTH_OK', {
        userId: voter, roles: ['user'], organizationId: 'default', expiresAt: at(now + DAY_MS), remaining: {},
      }));
    }
  });
  socket.on('error', (error) => console.error(error.message));
}

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, backlog: 4096 });
server.on('connection', converse);
await queue.waitUntilReady();
if (server.address() === null) await once(server, 'listening');
console.log(server.address().port);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
