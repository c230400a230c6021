/** The question before something is spent that was paid for, and the votes that weigh more. A tap on an answer is the confirmation. */
import { el } from "../page.js";

export class Sheet {
  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this._dialog = dialog;
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
  }

  get isOpen() {
    return this._dialog.open;
  }

  close() {
    if (this._dialog.open) this._dialog.close();
  }

  /**
   * @param {string} name the act's
   * @param {{type: string, amounts: number[], left: number | null}[]} offers
   * @param {object} words
   * @param {(type: string, amount: number) => void} chosen
   */
  ask(name, offers, words, chosen) {
    const take = (type, amount) => {
      this._dialog.close();
      chosen(type, amount);
    };
    const group = ({ type, amounts, left }) => el("div", { class: "offer" },
      ...amounts.map((amount) => el("button", {
        class: "primary", type: "button", "data-testid": `offer-${type}-${amount}`, onclick: () => take(type, amount),
      }, (words.offer[type] ?? words.offer.other)(amount, type))),
      left === null || left === 1 ? null : el("p", { class: "offer-left" }, words.have(left)),
    );
    this._dialog.replaceChildren(
      el("h2", { id: "sheet-title", class: "sheet-title" }, el("bdi", {}, words.sheet(name))),
      ...offers.map(group),
      el("button", { class: "plain", type: "button", "data-testid": "sheet-close", onclick: () => this._dialog.close() }, words.notNow),
    );
    this._dialog.showModal();
  }
}
