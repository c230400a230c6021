/** The studio screen: a stage, and what the address says of it. Shows, never asks. */
import { BroadcastSync } from "./sdk/index.js";
import { byId, guestToken, socketUrl, titles, tokenFromAddress } from "./page.js";
import { Stage } from "./screen/stage.js";

/** What the address may say; a token never stands in a query, which is logged and shown. */
const SAID = [
  "theme", "layout", "view", "lang", "title", "subtitle", "transparent", "safe", "motion", "director", "retell", "pace", "hold",
  "places",
];
/** Keys of keyboards, presenters and button boxes that go on to the next place of a result. */
const NEXT = new Set([" ", "Enter", "ArrowRight", "ArrowDown", "PageDown"]);

const address = new URLSearchParams(location.search);
const said = Object.fromEntries(SAID.filter((name) => address.has(name)).map((name) => [name, address.get(name)]));
const client = new BroadcastSync({ backoff: { base: 300, cap: 4000 }, heartbeatMs: 3000, silenceMs: 6000 });
const stage = new Stage(byId("picture"), { client, ...said });

// OBS reloads the address that the page has by then: what was taken out of it would be gone
const given = tokenFromAddress({ keep: true });
let asked = given !== null;

/** A window whose counts are for screens alone needs a token: the address's, or a guest's where there are any. */
async function showThatWeAreAScreen() {
  if (asked || client.state.window?.visibility !== "screens") return;
  asked = true;
  try {
    const token = await guestToken("screen");
    if (token) client.setToken(token);
  } catch {
    asked = false; // the server could not be asked: the next change asks again
  }
}

function nameThePage() {
  const { show } = titles(client.state.show);
  const name = show ? `${show}: studio screen` : "Studio screen";
  if (document.title !== name) document.title = name;
}

document.documentElement.classList.toggle("keyed", said.transparent === "1" || said.transparent === "true");
addEventListener("keydown", (event) => {
  if (event.repeat || !NEXT.has(event.key)) return;
  event.preventDefault();
  stage.next();
});
client.on("change", showThatWeAreAScreen);
client.on("change", nameThePage);
client.connect(socketUrl("/voting/results"), { token: given, channels: ["show", "results"] });
await stage.play();
