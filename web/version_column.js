// One version: its phase, its growing text, and the text in the teacher's hands once it is complete.

import { ByteBar } from "./byte_bar.js";
import { countBytes } from "./byte_count.js";
import { growText, make, setData, setText } from "./element.js";
import { FindingList } from "./finding_list.js";
import { rebaseFindings, replaceFinding, segmentText, selectionOf } from "./findings.js";
import * as words from "./words.js";

const AT_END_PIXELS = 32;
const PHASE_ORDER = Object.keys(words.PHASES);

export class VersionColumn {
  #title = make("h3");
  #badge = make("span", { className: "badge", hidden: true });
  #phases = PHASE_ORDER.map((phase) => make("li", {}, words.PHASES[phase]));
  #notice = make("p", { className: "version-notice", hidden: true });
  #text = make("div", { className: "text" });
  #editor;
  #sheet;
  #bar;
  #findings;
  #copy;
  #revert;
  #unchecked = make("p", { className: "unchecked", hidden: true }, words.NOT_CHECKED_AGAIN);
  #isAtEnd = true;
  #version = null;
  #limit = null;
  #edit = null;
  #enterBytes = 1;
  #onEdit;

  /** `edit` is what is kept of an earlier one; `onEdit(edit)` keeps it; `onCopy(text, warnings, editor)` asks and copies. */
  constructor({ version, edit, enterBytes, onEdit, onCopy }) {
    const name = version.title || words.sayVersion(version.version);
    this.#edit = edit ?? null;
    this.#enterBytes = enterBytes;
    this.#onEdit = onEdit;
    this.#title.textContent = name;
    this.#bar = new ByteBar(words.sayTextOf(name));
    this.#editor = make("textarea", {
      className: "editor",
      hidden: true,
      spellcheck: false,
      "aria-label": words.sayTextOf(name),
      oninput: () => this.#change(this.#editor.value),
    });
    this.#sheet = make(
      "div",
      { className: "sheet", tabIndex: 0, role: "region", "aria-label": words.sayTextOf(name), onscroll: () => this.#noteScroll() },
      this.#notice,
      make("div", { className: "stack" }, this.#text, this.#editor),
    );
    this.#findings = new FindingList({
      onSelect: (finding) => this.#select(finding),
      onReplace: (finding, suggestion) => this.#replace(finding, suggestion),
      onDismiss: (finding) => this.#keep(this.#edited.text, this.#edited.findings.filter((other) => other !== finding)),
    });
    this.#copy = make("button", { type: "button", className: "copy", onclick: () => onCopy(this.#edited.text, this.#warnings(), this.#editor) }, words.COPY);
    this.#revert = make("button", { type: "button", className: "quiet", hidden: true, onclick: () => this.#forget() }, words.REVERT);
    this.element = make(
      "article",
      { className: "version", "aria-label": name },
      make("header", { className: "version-head" }, make("div", { className: "version-title" }, this.#title, this.#badge), make("ol", { className: "phases" }, ...this.#phases)),
      this.#sheet,
      this.#bar.element,
      make("div", { className: "version-actions" }, this.#copy, this.#revert),
      this.#unchecked,
      this.#findings.element,
    );
  }

  render(version, limit, task) {
    this.#version = version;
    this.#limit = limit;
    setData(this.element, "stage", task.progress.ended && version.stage === "waiting" ? "stopped" : version.stage);
    this.#renderPhases(version, task);
    this.#renderNotice(version, task);
    if (version.stage === "completed") this.#renderEditor();
    else this.#renderText(version, task);
  }

  /** Take over what another tab wrote, unless the teacher is writing here. */
  adopt(edit) {
    if (document.activeElement === this.#editor) return;
    this.#edit = edit ?? null;
    if (this.#version?.stage === "completed") this.#renderEditor();
  }

  setEnterBytes(enterBytes) {
    this.#enterBytes = enterBytes;
    if (this.#version) this.#renderBar(this.#version.stage === "completed" ? this.#edited.text : this.#version.text);
  }

  get #edited() {
    return this.#edit ?? { text: this.#version.text, findings: this.#version.findings };
  }

  get #isEdited() {
    return this.#edited.text !== this.#version.text;
  }

  #renderPhases(version, task) {
    const now = PHASE_ORDER.indexOf(version.stage);
    this.#phases.forEach((phase, index) => {
      const state = version.stage === "completed" || index < now ? "done" : index === now && !task.progress.ended ? "now" : "todo";
      setData(phase, "state", state);
      if (state === "now") phase.setAttribute("aria-current", "step");
      else phase.removeAttribute("aria-current");
    });
  }

  #renderNotice(version, task) {
    let notice = "";
    if (version.stage === "failed") {
      notice = `${words.REASONS[version.reason] ?? words.REASONS.internal}${version.text ? ` ${words.KEPT_TEXT}` : ""}`;
    } else if (task.progress.ended && version.stage !== "completed") {
      notice = version.text ? words.VERSION_STOPPED : words.NOTHING_WRITTEN;
    }
    if (notice && this.#notice.hidden) this.#sheet.scrollTop = 0;
    this.#notice.hidden = !notice;
    setText(this.#notice, notice);
  }

  #renderText(version, task) {
    const isOver = task.progress.ended || version.stage === "failed";
    setData(this.#text, "placeholder", version.text || isOver ? "" : words.NOTHING_YET);
    growText(this.#text, version.text);
    this.#copy.hidden = true;
    this.#renderBar(version.text);
    if (this.#isAtEnd && !isOver) this.#sheet.scrollTop = this.#sheet.scrollHeight;
  }

  #renderEditor() {
    const { text, findings } = this.#edited;
    this.#editor.hidden = false;
    this.#copy.hidden = false;
    this.#sheet.removeAttribute("tabindex");
    this.#sheet.removeAttribute("role");
    this.#text.setAttribute("aria-hidden", "true");
    setData(this.#text, "placeholder", "");
    if (this.#editor.value !== text) this.#editor.value = text;
    this.#text.replaceChildren(...segmentText(text, findings).map(showPiece));
    this.#findings.render(findings);
    this.#renderBar(text);
    this.#badge.hidden = this.#unchecked.hidden = !this.#isEdited;
    this.#revert.hidden = !this.#edit;
    setText(this.#badge, this.#isEdited ? words.EDITED : "");
  }

  #renderBar(text) {
    this.#bar.element.hidden = !this.#limit;
    if (this.#limit) this.#bar.render(countBytes(text, this.#enterBytes), this.#limit.bytes);
  }

  #change(text) {
    const { text: before, findings } = this.#edited;
    this.#keep(text, rebaseFindings(findings, before, text));
  }

  #keep(text, findings) {
    this.#edit = { text, findings };
    this.#onEdit(this.#edit);
    this.#renderEditor();
  }

  #forget() {
    this.#edit = null;
    this.#onEdit(null);
    this.#renderEditor();
    this.#editor.focus();
  }

  #replace(finding, suggestion) {
    const { text } = this.#edited;
    this.#change(replaceFinding(text, finding, suggestion));
    const [start] = selectionOf(text, finding);
    this.#editor.focus();
    this.#editor.setSelectionRange(start, start + suggestion.length);
  }

  #select(finding) {
    this.#editor.focus();
    this.#editor.setSelectionRange(...selectionOf(this.#edited.text, finding));
    this.#text.querySelector(`[data-start="${finding.start}"]`)?.scrollIntoView({ block: "nearest" });
  }

  #warnings() {
    const { text, findings } = this.#edited;
    const isOver = this.#limit && countBytes(text, this.#enterBytes) > this.#limit.bytes;
    return [
      ...(this.#isEdited ? [] : [words.WARNINGS.unedited]),
      ...(isOver ? [words.WARNINGS.over] : []),
      ...(findings.some((finding) => finding.severity === "block") ? [words.WARNINGS.block] : []),
    ];
  }

  #noteScroll() {
    const { scrollHeight, scrollTop, clientHeight } = this.#sheet;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < AT_END_PIXELS;
  }
}

function showPiece({ text, finding }) {
  if (!finding) return text;
  const mark = make("mark", {}, text);
  mark.dataset.severity = finding.severity;
  mark.dataset.start = finding.start;
  return mark;
}
