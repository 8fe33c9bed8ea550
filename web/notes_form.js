// The form: level, item, notes with a live count. What is typed survives a refresh; one click is one task.

import { ApiProblem, newIdempotencyKey, submitWithRetries } from "./api.js";
import { make, setData, setText } from "./element.js";
import { countCodePoints } from "./reducer.js";
import * as words from "./words.js";

const DEFAULTS = { school_level: "high", item: "subject", target_ratio: "1", label: "", notes: "" };

export class NotesForm {
  #form;
  #api;
  #drafts;
  #wait;
  #onAccepted;
  #catalogue = null;
  #isSending = false;
  #undecided = null;
  #count;
  #status;
  #facts;
  #submit;
  #sample;

  /** `onAccepted(answer, request, label)`; `wait(seconds)`. */
  constructor({ form, api, drafts, wait, onAccepted }) {
    this.#form = form;
    this.#api = api;
    this.#drafts = drafts;
    this.#wait = wait;
    this.#onAccepted = onAccepted;
    [this.#count, this.#status, this.#facts, this.#submit, this.#sample] = [
      "#notes-count",
      "#form-status",
      "#item-limit",
      "#submit",
      "#sample-notes",
    ].map((selector) => form.querySelector(selector));
    form.addEventListener("input", () => this.#changed());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing) form.requestSubmit();
    });
    this.#sample.addEventListener("click", () => this.fill({ notes: words.SAMPLE_NOTES }));
    this.#renderCount();
  }

  /** Offer the catalogue's items, and what was typed before. */
  offer(catalogue) {
    this.#catalogue = catalogue;
    this.#sample.hidden = !catalogue.simulated;
    this.#field("school_level").replaceChildren(...catalogue.levels.map((offered) => make("option", { value: offered.level }, offered.title)));
    this.#say("");
    this.fill({ ...DEFAULTS, ...this.#drafts.readNotes() });
  }

  /** Put values in; an item that the level does not have becomes its first. */
  fill(values) {
    for (const name of ["school_level", "target_ratio", "label", "notes"]) {
      if (values[name] !== undefined) this.#field(name).value = values[name];
    }
    for (const name of ["school_level", "target_ratio"]) {
      if (this.#field(name).selectedIndex < 0) this.#field(name).selectedIndex = 0;
    }
    this.#offerItems(values.item ?? this.#field("item").value);
    this.#changed();
  }

  focus() {
    this.#field("notes").focus();
  }

  say(text, tone) {
    this.#say(text, tone);
  }

  /** Forget what was typed. */
  clear() {
    this.fill({ label: "", notes: "" });
  }

  #offerItems(wanted) {
    const item = this.#field("item");
    const { items } = this.#level();
    item.replaceChildren(...items.map((offered) => make("option", { value: offered.item }, offered.title)));
    item.value = items.some((offered) => offered.item === wanted) ? wanted : items[0].item;
  }

  /** By name; `elements.item` would be a method of the collection. */
  #field(name) {
    return this.#form.elements.namedItem(name);
  }

  #level() {
    const { value } = this.#field("school_level");
    return this.#catalogue.levels.find((offered) => offered.level === value) ?? this.#catalogue.levels[0];
  }

  #changed() {
    if (this.#catalogue) {
      this.#offerItems(this.#field("item").value);
      this.#renderFacts();
    }
    this.#renderCount();
    const names = Object.keys(DEFAULTS);
    this.#drafts.writeNotes(Object.fromEntries(names.map((name) => [name, this.#field(name).value])));
  }

  #item() {
    const { value } = this.#field("item");
    return this.#level().items.find((offered) => offered.item === value);
  }

  #renderFacts() {
    const { limit, viewpoints } = this.#item();
    const seenFrom = viewpoints.slice(0, this.#catalogue.versionCount).join(" · ");
    const notes = [limit.note, words.CONFIDENCES[limit.confidence]].filter(Boolean);
    this.#facts.replaceChildren(
      make("strong", {}, words.sayLimit(limit)),
      make("span", {}, seenFrom),
      ...notes.map((note) => make("small", {}, note)),
    );
  }

  #renderCount() {
    const limit = this.#catalogue?.notesLimit ?? Infinity;
    const count = countCodePoints(this.#field("notes").value);
    setText(this.#count, this.#catalogue ? words.sayNotesCount(count, limit) : "");
    setData(this.#count, "standing", count > limit ? "over" : "ok");
    const isEmpty = this.#field("notes").value.trim() === "";
    this.#submit.disabled = this.#isSending || !this.#catalogue || isEmpty || count > limit;
  }

  async #send() {
    if (this.#submit.disabled) return;
    const label = this.#field("label").value.trim();
    const request = {
      item: this.#field("item").value,
      school_level: this.#field("school_level").value,
      notes: this.#field("notes").value,
      version_count: this.#catalogue.versionCount,
      target_ratio: Number(this.#field("target_ratio").value),
    };
    this.#setSending(true);
    try {
      const answer = await submitWithRetries(this.#api, request, this.#keyOf(request), {
        onRetry: (seconds, tried, most) => this.#say(words.sayRetry(seconds, tried, most), "warn"),
        wait: this.#wait,
      });
      this.#undecided = null;
      this.#say("");
      if (this.#field("notes").value === request.notes) this.clear();
      this.#onAccepted(answer, request, label);
    } catch (problem) {
      if (!(problem instanceof ApiProblem)) throw problem;
      if (!problem.passes) this.#undecided = null;
      this.#say(words.PROBLEMS[problem.status] ?? words.OTHER_PROBLEM, "bad");
    } finally {
      this.#setSending(false);
    }
  }

  /** Return a new key, but for the same request as the one that may or may not have arrived: that keeps its key. */
  #keyOf(request) {
    const body = JSON.stringify(request);
    if (this.#undecided?.body !== body) this.#undecided = { body, key: newIdempotencyKey() };
    return this.#undecided.key;
  }

  #setSending(isSending) {
    this.#isSending = isSending;
    setText(this.#submit, isSending ? words.SENDING : words.SUBMIT);
    this.#submit.setAttribute("aria-busy", String(isSending));
    this.#renderCount();
  }

  #say(text, tone = "calm") {
    setText(this.#status, text);
    setData(this.#status, "tone", tone);
  }
}
