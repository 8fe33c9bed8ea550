// The list of tasks: newest first, each with one small mark for each of its versions.

import { make, setData, setText } from "./element.js";
import { standingOf } from "./task_panel.js";
import { ITEMS, SHORT_ITEMS, UNNAMED, sayTime } from "./words.js";

export class TaskList {
  #element;
  #rows = new Map();
  #order = "";

  constructor(element) {
    this.#element = element;
  }

  /** Show a task's row as it is now. */
  render(task, label, nowMs) {
    const row = this.#rowOf(task.task_id);
    const standing = standingOf(task, nowMs);
    setText(row.name, label || ITEMS[task.item] || UNNAMED);
    setText(row.facts, [label && SHORT_ITEMS[task.item], sayTime(task.accepted_at)].filter(Boolean).join(" · "));
    setText(row.word, standing.word);
    setData(row.link, "tone", standing.tone);
    this.#renderMarks(row.marks, task);
  }

  /** Put the rows in order; done only when it changes. */
  arrange(tasks) {
    const sorted = [...tasks].sort((left, right) => (right.accepted_at ?? "~").localeCompare(left.accepted_at ?? "~"));
    const order = sorted.map((task) => task.task_id).join();
    if (order === this.#order) return;
    this.#order = order;
    this.#element.replaceChildren(...sorted.map((task) => this.#rows.get(task.task_id).element));
  }

  select(taskId) {
    for (const [id, { link }] of this.#rows) {
      if (id === taskId) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  #rowOf(taskId) {
    const known = this.#rows.get(taskId);
    if (known) return known;
    const name = make("span", { className: "row-name" });
    const facts = make("span", { className: "row-facts" });
    const word = make("span", { className: "row-word" });
    const marks = make("span", { className: "row-marks", "aria-hidden": "true" });
    const link = make("a", { className: "row", href: `#${taskId}` }, name, word, facts, marks);
    const row = { element: make("li", {}, link), link, name, facts, word, marks };
    this.#rows.set(taskId, row);
    return row;
  }

  #renderMarks(marks, task) {
    while (marks.childElementCount < task.versions.length) marks.append(make("i"));
    task.versions.forEach((version, index) => setData(marks.children[index], "stage", version.stage));
  }
}
