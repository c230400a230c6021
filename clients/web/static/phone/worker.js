/**
 * Keeps the page for a phone without a network: who reloads in a tunnel sees the page, and the vote that waits there. With a
 * network everything comes from it, as if this were not here. KEPT is written by the server, a hash of the files.
 */
const KEPT = "phone-version";
const FILES = ["/phone", "/web/phone.css", "/web/phone.js", "/web/fonts/archivo-phone.woff2"];

addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== KEPT && name.startsWith("phone-")) await caches.delete(name);
    await registration.navigationPreload?.enable(); // the network is asked while this wakes up
    await clients.claim();
  })());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const path = new URL(request.url).pathname;
  if (request.method !== "GET" || !FILES.includes(path) || !request.url.startsWith(location.origin)) return;
  event.respondWith((async () => {
    try {
      return (await event.preloadResponse) ?? (await fetch(request));
    } catch (away) {
      const kept = await caches.match(path, { cacheName: KEPT });
      if (kept) return kept;
      throw away;
    }
  })());
});
