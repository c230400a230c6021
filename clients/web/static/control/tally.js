/** The numbers, the lights, the nodes, and two minutes of votes a second. */
import { byId, count, el, setText } from "../page.js";
import { renderKeyed } from "./keyed.js";
import { lights } from "./lights.js";
import { History, linePath, SPAN_S, topOf } from "./spark.js";
import { share } from "./words.js";

const WIDTH = 240;
const HEIGHT = 48;
const WHO_SEES = { screens: "votes, not public", hidden: "votes, hidden" };

export class TallyPanel {
  /** @param {() => number} now milliseconds, steady */
  constructor(now) {
    this._now = now;
    this._history = new History();
  }

  /** A tally has come. */
  take(tally) {
    this._history.add(this._now() / 1000, tally.votesPerSecond);
  }

  /** @param {import("../sdk/show.js").ShowState} state */
  render({ tally, board, window, resultsReleased }) {
    setText(byId("total"), number(tally ? tally.totalVotes : board?.totalVotes));
    setText(byId("total-unit"), WHO_SEES[embargo(window, resultsReleased)] ?? "votes");
    setText(byId("rate"), number(tally?.votesPerSecond));
    setText(byId("sockets"), number(tally?.sockets));
    bar("applied", tally?.applied);
    bar("acked", tally?.acked);
    setText(byId("node-count"), number(tally?.nodes?.length));
    this._lights(lights(tally));
    this._nodes(tally?.nodes ?? []);
    this._spark();
  }

  _lights(found) {
    renderKeyed(byId("lights"), found, (light) => light.id, ({ id, name }) =>
      el("li", { class: "light", "data-testid": id }, el("span", { class: "lamp", "aria-hidden": "true" }),
        el("span", { class: "label" }, name), el("span", { class: "text tabular" })),
    (row, { level, text }) => {
      row.dataset.level = level;
      setText(row.querySelector(".text"), text);
    });
  }

  _nodes(nodes) {
    byId("nodes").hidden = nodes.length < 2; // one has the numbers above
    renderKeyed(byId("nodes-list"), nodes, (node) => node.node, ({ node }) =>
      el("tr", { "data-testid": `node-${node}` }, el("th", { scope: "row" }, node),
        ...["sockets", "applied", "acked", "offset"].map((name) => el("td", { class: `tabular ${name}` }))),
    (row, node) => {
      row.classList.toggle("degraded", node.degraded);
      setText(row.querySelector("th"), node.degraded ? `${node.node}, cut off` : node.node);
      setText(row.querySelector(".sockets"), count(node.sockets));
      setText(row.querySelector(".applied"), share(node.applied));
      setText(row.querySelector(".acked"), share(node.acked));
      setText(row.querySelector(".offset"), `${Math.round(node.clockOffsetMs ?? 0)} ms`.replace("-", "−"));
    });
  }

  _spark() {
    const { samples } = this._history;
    const now = this._now() / 1000;
    const seen = samples.filter((sample) => sample.at >= now - SPAN_S);
    const most = Math.max(0, ...seen.map((sample) => sample.value));
    const top = topOf(most);
    byId("spark-line").setAttribute("d", linePath(seen, { now, width: WIDTH, height: HEIGHT, top }));
    setText(byId("spark-top"), count(top));
    byId("spark").setAttribute("aria-label", `Votes a second in the last two minutes, at most ${count(Math.round(most))}`);
  }
}

/** Who may see the counts until the result is out; everybody by default. */
const embargo = (window, released) => (released ? "public" : window?.visibility ?? "public");

/** A count that may be kept back: an embargo leaves it out. */
const number = (n) => (Number.isFinite(n) ? count(Math.round(n)) : "–");

function bar(id, part) {
  setText(byId(id), share(part));
  byId(`${id}-bar`).value = Number.isFinite(part) ? part : 0;
}
