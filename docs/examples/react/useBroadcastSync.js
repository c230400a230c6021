/** The show as a React hook, on the JavaScript SDK. Nothing here touches a page: React Native can use it as it is. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { BroadcastSync, plainWords } from "broadcast-sync";

/** What a client shows at a moment, the same object until something in it changes: what useSyncExternalStore asks for. */
function storeOf(client) {
  let last = null;
  return {
    subscribe: (listener) => client.on("change", listener),
    read() {
      const { state, connection, waiting, reason } = client;
      if (last?.state !== state || last.connection !== connection || last.waiting !== waiting) {
        last = { state, connection, waiting, reason };
      }
      return last;
    },
  };
}

/**
 * One connection to a show for as long as the component lives; one as well under StrictMode, whose effects run twice.
 * Unmounting closes it.
 *
 * @param {string} url `ws://` or `wss://`; another one opens another connection
 * @param {object} [settings]
 * @param {string | null} [settings.token] a JWT to vote with; a new one is used on the same connection
 * @param {object} [settings.options] the SDK's options; those of the first render count
 * @returns {{client: BroadcastSync, state: object, connection: string, waiting: number, reason: string}}
 */
export function useBroadcastSync(url, { token = null, options } = {}) {
  const [client] = useState(() => new BroadcastSync(options));
  const [store] = useState(() => storeOf(client));
  const newest = useRef(token);

  useEffect(() => {
    // a turn later: the run that StrictMode takes back at once opens no socket
    const soon = setTimeout(() => client.connect(url, { token: newest.current }));
    return () => {
      clearTimeout(soon);
      client.close();
    };
  }, [client, url]);

  useEffect(() => {
    if (newest.current === token) return;
    newest.current = token;
    client.setToken(token);
  }, [client, token]);

  return { client, ...useSyncExternalStore(store.subscribe, store.read, store.read) };
}

/**
 * Whole seconds until the announced close, by the server's clock; null while no window is open. Apart from the rest, so
 * that a second that passes renders the clock and nothing else.
 */
export function useSeconds(client) {
  const subscribe = useCallback((listener) => {
    const off = [client.on("second", listener), client.on("change", listener)];
    return () => off.forEach((end) => end());
  }, [client]);
  const read = useCallback(() => client.seconds, [client]);
  return useSyncExternalStore(subscribe, read, read);
}

/**
 * Votes and what has become of the last one for each contestant: `sending`, `counted` or `refused` with the reason in
 * plain words. The SDK sends a vote again until it is answered, so `sending` may last a reconnect.
 *
 * @returns {[Record<string, {status: string, words: string}>, (contestantId: string) => Promise<void>]}
 */
export function useVotes(client) {
  const [told, tell] = useState({});
  const vote = useCallback(async (contestantId) => {
    const say = (status, words) => tell((before) => ({ ...before, [contestantId]: { status, words } }));
    say("sending", "Sending …");
    try {
      await client.vote(contestantId);
      say("counted", "Counted.");
    } catch (refusal) {
      say("refused", plainWords(refusal));
    }
  }, [client]);
  return [told, vote];
}
