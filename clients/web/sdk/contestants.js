/** Contestants over HTTP: messages list two hundred at most, and search none. */
import { Refusal } from "./refusal.js";

const QUERY = ["search", "category", "sort", "cursor", "page", "limit"];

/**
 * @param {typeof fetch} fetch
 * @param {string} url of the socket
 * @param {number | undefined} event `show.event` of the state
 * @param {Record<string, string | number | undefined>} query
 * @returns {Promise<object>} a page; rejects with Refusal (`TRY_AGAIN` when no answer came)
 */
export async function contestantsOf(fetch, url, event, query) {
  if (!url || event === undefined) throw new Refusal({ code: "NOT_FOUND", message: "No show is on air." });
  const target = new URL(`/api/v1/events/${event}/contestants`, url.replace(/^ws/, "http"));
  for (const name of QUERY) if (query[name] !== undefined) target.searchParams.set(name, query[name]);
  let answer, body;
  try {
    answer = await fetch(target);
    body = await answer.json();
  } catch {
    throw new Refusal({ code: "TRY_AGAIN", retryable: true });
  }
  if (!answer.ok) throw new Refusal(body);
  return body;
}
