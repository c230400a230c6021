import assert from "node:assert/strict";
import { test } from "node:test";

import {
  configuredDelay, delayOfPlayer, delayOfPlaylist, MARGIN_MS, parsePlaylist, shownClose, StreamDelay,
} from "../../clients/web/static/phone/delay.js";

const MOMENT = Date.parse("2026-11-21T13:15:00.000Z");
const LIVE = `#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:6
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T20:15:00.000+0700
#EXTINF:6.0,
one.ts
#EXTINF:4.0,
two.ts
`;

test("the end of a playlist is its date and all segments after it; players stay three target durations behind", () => {
  const playlist = parsePlaylist(LIVE);
  assert.deepEqual(playlist, { variants: [], ended: false, holdBackMs: 18_000, edgeMs: MOMENT + 10_000 });
  assert.equal(delayOfPlaylist(playlist, MOMENT + 12_000), 20_000);
});

test("a later date counts anew, HOLD-BACK and parts are heeded", () => {
  const text = `#EXTM3U\r\n#EXT-X-TARGETDURATION:4\r\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=12,PART-HOLD-BACK=1.5\r
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T13:15:00Z\r\n#EXTINF:4,\r\na.mp4\r\n#EXT-X-DISCONTINUITY\r
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T13:16:00Z\r\n#EXT-X-PART:DURATION=0.5,URI="b.0.mp4"\r\n#EXTINF:4,\r\nb.mp4\r
#EXT-X-PART:DURATION=0.5,URI="c.0.mp4",INDEPENDENT=YES\r\n#EXT-X-PART:DURATION=0.5,URI="c.1.mp4"\r\n`;
  assert.deepEqual(parsePlaylist(text), { variants: [], ended: false, holdBackMs: 1_500, edgeMs: MOMENT + 65_000 });
  const withoutParts = text.replaceAll(/#EXT-X-PART:.*\r\n/g, "");
  assert.equal(parsePlaylist(withoutParts).holdBackMs, 12_000);
});

test("no date, a recording, another file and a wrong clock say nothing", () => {
  assert.equal(delayOfPlaylist(parsePlaylist(LIVE.replace(/#EXT-X-PROGRAM.*\n/, "")), MOMENT), null);
  assert.equal(delayOfPlaylist(parsePlaylist(`${LIVE}#EXT-X-ENDLIST\n`), MOMENT), null);
  assert.equal(parsePlaylist("<!doctype html>"), null);
  assert.equal(delayOfPlaylist(null, MOMENT), null);
  assert.equal(delayOfPlaylist(parsePlaylist(LIVE.replace("2026-11-21T20", "soon")), MOMENT), null);
  assert.equal(delayOfPlaylist(parsePlaylist(LIVE), MOMENT + 600_000), null);
  assert.equal(delayOfPlaylist(parsePlaylist(LIVE), MOMENT - 60_000), 0);
});

test("a player says it better: hls.js, and a video that plays HLS itself", () => {
  assert.equal(delayOfPlayer({ playingDate: new Date(MOMENT) }, MOMENT + 7_000), 7_000);
  assert.equal(delayOfPlayer({ getStartDate: () => new Date(MOMENT), currentTime: 5 }, MOMENT + 20_000), 15_000);
  assert.equal(delayOfPlayer({ getStartDate: () => new Date(NaN), currentTime: 5 }, MOMENT), null);
  assert.equal(delayOfPlayer({ playingDate: null, currentTime: 5 }, MOMENT), null);
});

test("the configured delay is that of the device, and bounded", () => {
  const content = "ios=28000 android=9000 web=4000";
  assert.equal(configuredDelay(content, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0)"), 28_000);
  assert.equal(configuredDelay(content, "Mozilla/5.0 (Macintosh; Intel Mac OS X)", 5), 28_000); // an iPad says so
  assert.equal(configuredDelay(content, "Mozilla/5.0 (Macintosh; Intel Mac OS X)"), 4_000);
  assert.equal(configuredDelay(content, "Mozilla/5.0 (Linux; Android 7.0; SM-J710F)"), 9_000);
  assert.equal(configuredDelay("android=999999", "Android"), 120_000);
  for (const bad of ["", "android=-5", "android=1e9", "x"]) assert.equal(configuredDelay(bad, "Android"), 0);
});

test("the countdown follows the picture as far as votes count, and says what is missing", () => {
  const at = (graceMs) => ({ closesAt: new Date(MOMENT).toISOString(), hardClosesAt: new Date(MOMENT + graceMs).toISOString() });
  assert.deepEqual(shownClose(at(5_000), 0), { atMs: MOMENT, earlyMs: 0 });
  assert.deepEqual(shownClose(at(30_000), 20_000), { atMs: MOMENT + 20_000, earlyMs: 0 });
  assert.deepEqual(shownClose(at(5_000), 20_000), { atMs: MOMENT + 5_000 - MARGIN_MS, earlyMs: 20_000 - 5_000 + MARGIN_MS });
  assert.deepEqual(shownClose(at(500), 8_000), { atMs: MOMENT, earlyMs: 8_000 });
  assert.equal(shownClose(null, 8_000), null);
});

test("measurements replace the setting, one that is out of line moves nothing, small ones are kept quiet", () => {
  const told = [];
  const delay = new StreamDelay({ now: () => MOMENT, configuredMs: 8_000, changed: (ms) => told.push(ms) });
  for (const ms of [null, 20_000, 20_300, 60_000, 20_100, 20_200]) delay.take(ms);
  assert.deepEqual(told, [20_000]);
  assert.ok(delay.measured && delay.ms === 20_000);
  for (const ms of [25_000, 25_000, 25_000]) delay.take(ms);
  assert.equal(delay.ms, 25_000);
});

test("a master playlist leads to its first variant; what cannot be read leaves the setting", async () => {
  const files = {
    "https://cdn.test/live.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/live.m3u8\n",
    "https://cdn.test/low/live.m3u8": LIVE,
  };
  const get = async (url) => (url in files ? { ok: true, text: async () => files[url] } : Promise.reject(new TypeError("away")));
  const measured = (url) => new Promise((resolve) => {
    const delay = new StreamDelay({ now: () => MOMENT + 12_000, changed: resolve, fetch: get });
    delay.watchPlaylist(url);
    setTimeout(() => (delay.stop(), resolve(null)), 50);
  });
  assert.equal(await measured("https://cdn.test/live.m3u8"), 20_000);
  assert.equal(await measured("https://cdn.test/none.m3u8"), null);
  assert.equal(await measured("http://"), null);
});
