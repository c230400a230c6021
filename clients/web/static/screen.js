/** The studio screen: a stage, and what the address says of it. Shows, never asks. */
import { BroadcastSync } from "./sdk/index.js";
import { byId, guestToken, socketUrl, titles, tokenFromAddress } from "./page.js";
import { Stage } from "./screen/stage.js";

const address = new URLSearchParams(location.search);
const client = new BroadcastSync({ backoff: { base: 300, cap: 4000 }, heartbeatMs: 3000, silenceMs: 6000 });
const stage = new Stage(byId("picture"), {
  client,
  theme: address.get("theme") ?? undefined,
  transparent: address.get("transparent") === "1",
  director: address.get("director") === "1",
});

const given = tokenFromAddress();
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

document.documentElement.classList.toggle("keyed", address.get("transparent") === "1");
client.on("change", showThatWeAreAScreen);
client.on("change", nameThePage);
client.connect(socketUrl("/voting/results"), { token: given, channels: ["show", "results"] });
await stage.play();
