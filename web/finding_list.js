// The findings of a text below it: what, why, by which clause, and the way out.

import { make } from "./element.js";
import { DISMISS, SEVERITIES, sayClause, sayFindings, sayReplace } from "./words.js";

export class FindingList {
  #list = make("ul", { className: "finding-list" });
  #heading = make("h4");
  #shown = null;
  #actions;

  /** `actions`: onSelect(finding), onReplace(finding, suggestion), onDismiss(finding). */
  constructor(actions) {
    this.#actions = actions;
    this.element = make("section", { className: "findings", hidden: true }, this.#heading, this.#list);
  }

  render(findings) {
    if (findings === this.#shown) return;
    this.#shown = findings;
    this.element.hidden = findings.length === 0;
    this.#heading.textContent = sayFindings(findings.length);
    this.#list.replaceChildren(...findings.map((finding) => this.#row(finding)));
  }

  #row(finding) {
    const place = make("button", { type: "button", className: "finding-place", onclick: () => this.#actions.onSelect(finding) }, `“${finding.matched}”`);
    const head = make("p", { className: "finding-head" }, make("span", { className: "severity" }, SEVERITIES[finding.severity] ?? ""), place);
    const clause = finding.clause ? [" ", make("span", { className: "clause" }, sayClause(finding.clause))] : [];
    const reason = make("p", { className: "finding-reason" }, finding.reason, ...clause);
    const buttons = finding.suggestions.map((suggestion) =>
      make("button", { type: "button", className: "fix", onclick: () => this.#actions.onReplace(finding, suggestion) }, sayReplace(suggestion)),
    );
    if (finding.dismissible) {
      buttons.push(make("button", { type: "button", className: "fix dismiss", onclick: () => this.#actions.onDismiss(finding) }, DISMISS));
    }
    const row = make("li", { className: "finding" }, head, reason, make("p", { className: "fixes" }, ...buttons));
    row.dataset.severity = finding.severity;
    return row;
  }
}
