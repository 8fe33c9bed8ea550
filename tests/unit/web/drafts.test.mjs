import assert from "node:assert/strict";
import { test } from "node:test";

import { Drafts, KEPT_MS } from "../../../web/drafts.js";

/** Storage as a browser has it: what is kept are its own properties. */
class KeptInMemory {
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  setItem(key, value) {
    this[key] = String(value);
  }

  removeItem(key) {
    delete this[key];
  }
}

const TASK = "0123456789abcdef0123456789abcdef";

test("an edit is kept for its task and version", () => {
  const storage = new KeptInMemory();
  new Drafts(storage).writeEdit(TASK, 2, { text: "고친 글", findings: [] });
  assert.deepEqual(new Drafts(storage).readTask(TASK).edits, { 2: { text: "고친 글", findings: [] } });
});

test("an edit taken back is gone, and others stay", () => {
  const drafts = new Drafts(new KeptInMemory());
  drafts.writeTask(TASK, { label: "3번" });
  drafts.writeEdit(TASK, 1, { text: "가", findings: [] });
  drafts.writeEdit(TASK, 2, { text: "나", findings: [] });
  drafts.writeEdit(TASK, 1, null);
  assert.deepEqual(drafts.readTask(TASK), { label: "3번", edits: { 2: { text: "나", findings: [] } } });
});

test("after a day everything is gone from storage itself", () => {
  let now = 1_000;
  const storage = new KeptInMemory();
  const drafts = new Drafts(storage, () => now);
  drafts.writeNotes({ notes: "메모" });
  now += KEPT_MS;
  drafts.expire();
  assert.deepEqual(Object.keys(storage), []);
});

test("clearing takes what is ours and nothing else", () => {
  const storage = new KeptInMemory();
  storage.setItem("elsewhere", "1");
  const drafts = new Drafts(storage);
  drafts.writeNotes({ notes: "메모" });
  drafts.writeTask(TASK, { label: "3번" });
  drafts.clear();
  assert.deepEqual(Object.keys(storage), ["elsewhere"]);
});

test("without storage, or with a full one, the page goes on", () => {
  const full = new KeptInMemory();
  full.setItem = () => {
    throw new Error("full");
  };
  for (const drafts of [new Drafts(null), new Drafts(full)]) {
    drafts.writeNotes({ notes: "메모" });
    assert.deepEqual(drafts.readNotes(), {});
    drafts.expire();
    drafts.clear();
  }
});

test("what is not ours to read is taken as nothing", () => {
  const storage = new KeptInMemory();
  storage.setItem("draftstream:notes", "{broken");
  assert.deepEqual(new Drafts(storage).readNotes(), {});
});
