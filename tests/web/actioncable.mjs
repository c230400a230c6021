// The unmodified @rails/actioncable, led by the lines of its standard input; what it calls back goes out as lines.
import { createInterface } from "node:readline";

import { adapters, ConnectionMonitor, createConsumer } from "@rails/actioncable";
import { WebSocket } from "ws";

// What the library takes from a browser: a WebSocket, and whether its page can be seen.
adapters.WebSocket = WebSocket;
globalThis.addEventListener = () => {};
globalThis.removeEventListener = () => {};
// It notices a lost connection after 6 s without a heartbeat, which come every 3 s; the test has less time.
ConnectionMonitor.staleThreshold = 3.5;

const [url] = process.argv.slice(2);
const consumer = createConsumer(url);
const subscriptions = new Map();

const say = (name, event, data = null) => process.stdout.write(`${JSON.stringify({ name, event, data })}\n`);

const commands = {
  subscribe({ name, params }) {
    const callbacks = ["connected", "disconnected", "received", "rejected"].map((event) => [
      event,
      (data) => say(name, event, data),
    ]);
    subscriptions.set(name, consumer.subscriptions.create(params, Object.fromEntries(callbacks)));
  },
  perform({ name, action, data }) {
    subscriptions.get(name).perform(action, data);
  },
  unsubscribe({ name }) {
    subscriptions.get(name).unsubscribe();
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
