// One task: what it is, how it stands, and its versions side by side.

import { make, setData, setText } from "./element.js";
import * as words from "./words.js";
import { VersionColumn } from "./version_column.js";

export class TaskPanel {
  #heading = make("h2", { tabIndex: -1 });
  #facts = make("p", { className: "task-facts" });
  #stage = make("span", { className: "stage" });
  #notice = make("p", { className: "task-notice", role: "status", hidden: true });
  #cancel;
  #again;
  #tabs = make("nav", { className: "version-tabs", "aria-label": "글 고르기" });
  #versions = make("div", { className: "versions" });
  #columns = new Map();
  #options;
  #kept;
  #isCancelRequested = false;
  #announcedStages = null;

  /** `options`: taskId, drafts, enterBytes, serverNow(), onCancel(), onAgain(kept), onCopy(…), onAnnounce(text). */
  constructor(options) {
    this.#options = options;
    this.#kept = options.drafts.readTask(options.taskId);
    this.#cancel = make("button", { type: "button", className: "quiet", onclick: () => this.#requestCancel() }, words.CANCEL);
    this.#again = make("button", { type: "button", className: "quiet", hidden: true, onclick: () => options.onAgain(this.#kept) }, words.AGAIN);
    this.element = make(
      "div",
      { className: "task-panel" },
      make(
        "header",
        { className: "task-head" },
        make("div", { className: "task-title" }, this.#heading, this.#facts),
        make("div", { className: "task-actions" }, this.#stage, this.#cancel, this.#again),
      ),
      this.#notice,
      this.#tabs,
      this.#versions,
    );
  }

  focus() {
    this.#heading.focus({ preventScroll: true });
  }

  render(task) {
    setText(this.#heading, this.#kept.label || words.ITEMS[task.item] || words.UNNAMED);
    setText(this.#facts, sayFacts(task));
    this.#renderStage(task);
    for (const version of task.versions) this.#columnOf(version).render(version, task.limit, task);
    this.#renderTabs(task);
    this.#announce(task);
  }

  /** Say again what depends on the time. */
  renderStage(task) {
    this.#renderStage(task);
  }

  /** Read again what another tab may have written. */
  adoptEdits() {
    this.#kept = this.#options.drafts.readTask(this.#options.taskId);
    for (const [number, { column }] of this.#columns) column.adopt(this.#kept.edits[number]);
  }

  setEnterBytes(enterBytes) {
    this.#options.enterBytes = enterBytes;
    for (const { column } of this.#columns.values()) column.setEnterBytes(enterBytes);
  }

  #renderStage(task) {
    const standing = standingOf(task, this.#options.serverNow());
    setText(this.#stage, standing.word);
    setData(this.#stage, "tone", standing.tone);
    setText(this.#notice, standing.notice);
    setData(this.#notice, "tone", standing.tone);
    this.#notice.hidden = !standing.notice;
    const isOver = task.progress.ended;
    this.#cancel.hidden = isOver;
    this.#cancel.disabled = this.#isCancelRequested || task.stage === "cancelling";
    this.#again.hidden = !isOver || !this.#kept.notes;
  }

  async #requestCancel() {
    this.#isCancelRequested = true;
    this.#cancel.disabled = true;
    this.#isCancelRequested = await this.#options.onCancel();
    this.#cancel.disabled = this.#isCancelRequested;
  }

  #columnOf(version) {
    const known = this.#columns.get(version.version);
    if (known) return known.column;
    const { drafts, taskId, enterBytes, onCopy } = this.#options;
    const column = new VersionColumn({
      version,
      edit: this.#kept.edits[version.version],
      enterBytes,
      onEdit: (edit) => drafts.writeEdit(taskId, version.version, edit),
      onCopy,
    });
    const tab = make("button", { type: "button", onclick: () => this.#show(version.version) }, version.title || words.sayVersion(version.version));
    this.#columns.set(version.version, { column, tab });
    this.#versions.append(column.element);
    this.#tabs.append(tab);
    if (this.#columns.size === 1) this.#show(version.version);
    return column;
  }

  #show(number) {
    for (const [other, { column, tab }] of this.#columns) {
      column.element.dataset.current = tab.ariaPressed = String(other === number);
    }
  }

  #renderTabs(task) {
    for (const version of task.versions) setData(this.#columns.get(version.version).tab, "stage", version.stage);
  }

  /** Tell a screen reader of phases, not of letters. */
  #announce(task) {
    const stages = task.versions.map((version) => version.stage);
    const before = this.#announcedStages;
    this.#announcedStages = stages;
    if (!before) return;
    const news = task.versions.filter((version, index) => before[index] !== version.stage).map(sayNews);
    if (news.some(Boolean)) this.#options.onAnnounce(news.filter(Boolean).join(" "));
  }
}

function sayNews({ version, title, stage }) {
  const name = title || words.sayVersion(version);
  if (stage === "completed") return words.sayDone(name);
  if (stage === "failed") return words.sayFailed(name);
  return Object.hasOwn(words.PHASES, stage) ? words.sayPhase(name, stage) : "";
}

function sayFacts(task) {
  const facts = [words.LEVELS[task.school_level], words.ITEMS[task.item], task.limit && words.sayLimit(task.limit), words.sayTime(task.accepted_at)];
  return facts.filter(Boolean).join(" · ");
}

/** Say how a task stands at a time: a word for it, a tone (`calm`, `busy`, `good`, `warn`, `bad`) and a notice. */
export function standingOf(task, nowMs) {
  if (task.progress.ended) return endingOf(task);
  const isPast = (deadline) => deadline !== null && nowMs > Date.parse(deadline);
  const word = words.STAGES[task.stage];
  if (isPast(task.end_deadline)) return { word: words.OVERDUE, tone: "warn", notice: words.OVERDUE_END };
  if (!task.started && isPast(task.start_deadline)) return { word: words.OVERDUE, tone: "warn", notice: words.OVERDUE_START };
  if (task.waiting) {
    const seconds = task.waiting.until ? Math.ceil((Date.parse(task.waiting.until) - nowMs) / 1000) : 0;
    return { word, tone: "busy", notice: words.sayWait(task.waiting.reason, seconds) };
  }
  return { word, tone: task.stage === "queued" ? "calm" : "busy", notice: "" };
}

function endingOf(task) {
  const word = words.STAGES[task.stage];
  const completed = task.versions.filter((version) => version.stage === "completed").length;
  switch (task.stage) {
    case "succeeded":
      return task.degraded
        ? { word: words.DEGRADED, tone: "warn", notice: words.ENDINGS.degraded(completed, task.versions.length) }
        : { word, tone: "good", notice: "" };
    case "failed":
      return { word, tone: "bad", notice: words.REASONS[task.reason] ?? words.REASONS.internal };
    case "cancelled":
      return { word, tone: "calm", notice: task.started ? words.ENDINGS.cancelled : words.ENDINGS.cancelledEarly };
    default:
      return { word, tone: "bad", notice: task.started ? words.ENDINGS.expired : words.ENDINGS.expiredEarly };
  }
}
