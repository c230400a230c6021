/** What the page shows when the lines have closed: the counting, the result, the ranking. */
import { byId, count, el, firsts, namesTogether, percent, setText } from "../page.js";
import { face } from "./acts.js";
import { languageOf, namesOf } from "./words.js";

/** What has come in so far; the certified number may still be a little higher. */
export function drawClosing(board, mine, words) {
  const total = byId("closing-total");
  const [number, unit] = board?.totalVotes ? words.received(board.totalVotes) : ["", ""];
  if (total.textContent !== number + unit) total.replaceChildren(...(number ? [number, el("small", {}, unit)] : []));
  setText(byId("closing-mine"), mine);
}

/** @param {object} result RESULTS_READY's data @param {(id: string) => object | undefined} actOf */
export function drawResult(result, actOf, language, words) {
  const named = (act) => namesOf(act, language)[0];
  const winners = firsts(result.results, actOf);
  const names = namesTogether(winners.map(named), words.and);
  const tied = winners.length > 1;
  const photo = byId("winner-photo");
  photo.dataset.acts = String(Math.min(4, winners.length));
  photo.replaceChildren(...winners.slice(0, 4).map((act) => face(act, named(act), { lazy: false, size: 320 })));
  setText(byId("winner-word"), tied ? words.equal : words.winner);
  setText(byId("winner"), names);
  byId("winner").lang = languageOf(names);
  byId("winner").classList.toggle("many", tied || names.length > 24);
  setText(byId("winner-other"), tied || !winners[0] ? "" : namesOf(winners[0], language)[1]);
  byId("winner-other").lang = languageOf(byId("winner-other").textContent);
  const [first] = result.results;
  setText(byId("winner-share"), first ? words.share(percent(first.percentage), result.totalVotes, tied) : "");
  byId("seal").classList.toggle("open", !result.certified);
  setText(byId("seal"), result.certified ? words.certified(result.ledgerTotal) : words.uncertified);
  byId("ranking").replaceChildren(...result.results.map((row) => {
    const act = actOf(row.contestantId) ?? { id: row.contestantId, name: row.contestantName, photoUrl: row.contestantPhoto };
    const [name, other] = namesOf(act, language);
    return el("li", { class: "place" },
      el("span", { class: "place-rank tabular" }, String(row.rank)),
      face(act, name, { size: 44 }),
      el("span", { class: "place-name", lang: languageOf(name) }, el("bdi", {}, name), other ? el("small", { lang: languageOf(other) }, el("bdi", {}, other)) : null),
      el("span", { class: "place-share tabular" }, percent(row.percentage), el("small", {}, count(row.voteCount))),
    );
  }));
  return names;
}
