import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { countCodePoints, fold, newTask, readSnapshot, reduce, takeSnapshot, writeSnapshot } from "../../../web/reducer.js";

const GOLDEN = new URL("../../golden/lifecycle/", import.meta.url);
const stories = readdirSync(GOLDEN)
  .filter((name) => name.endsWith(".json"))
  .map((name) => [name, JSON.parse(readFileSync(new URL(name, GOLDEN), "utf8"))]);

test("there are golden stories to replay", () => {
  assert.ok(stories.length >= 10);
});

for (const [name, story] of stories) {
  test(`golden: ${name}`, () => {
    assert.deepEqual(writeSnapshot(fold(story.task_id, story.events)), story.snapshot);
  });

  test(`golden, joined at every point through a snapshot: ${name}`, () => {
    for (let joined = 0; joined <= story.events.length; joined += 1) {
      const before = JSON.parse(JSON.stringify(writeSnapshot(fold(story.task_id, story.events.slice(0, joined)))));
      const state = story.events.slice(joined).reduce(reduce, readSnapshot(before));
      assert.deepEqual(writeSnapshot(state), story.snapshot);
    }
  });

  test(`golden, every event sent twice: ${name}`, () => {
    const doubled = story.events.flatMap((event) => [event, event]);
    assert.deepEqual(writeSnapshot(fold(story.task_id, doubled)), story.snapshot);
  });
}

const event = (type, sequence, more = {}) => ({ type, task_id: "t", attempt: "2-1", sequence, ...more });

test("an unknown type changes nothing and takes no sequence", () => {
  const state = fold("t", [event("task.started", 0), event("task.celebrated", 7)]);
  assert.equal(state.progress.sequence, 0);
});

test("a type named like a property of every object is unknown", () => {
  const state = newTask("t");
  assert.equal(reduce(state, event("constructor", 0)), state);
});

test("offsets count code points, not UTF-16 units", () => {
  const state = fold("t", [
    event("version.delta", 0, { version: 1, offset: 0, text: "😀가" }),
    event("version.delta", 1, { version: 1, offset: 2, text: "나" }),
  ]);
  assert.equal(state.versions[0].text, "😀가나");
});

for (const [text, expected] of [["", 0], ["가나", 2], ["😀", 1], ["\ud83d", 1], ["\ude00\ud83d", 2], ["a😀b😀", 4]]) {
  test(`code points of ${JSON.stringify(text)}`, () => assert.equal(countCodePoints(text), expected));
}

test("an older snapshot does not take text back", () => {
  const log = [
    event("version.delta", 0, { version: 1, offset: 0, text: "가" }),
    event("version.delta", 1, { version: 1, offset: 1, text: "나" }),
  ];
  const known = fold("t", log);
  const older = writeSnapshot(fold("t", log.slice(0, 1)));
  assert.equal(takeSnapshot(known, older).versions[0].text, "가나");
});

test("a newer snapshot replaces what is known", () => {
  const known = fold("t", [event("version.delta", 0, { version: 1, offset: 0, text: "가" })]);
  const newer = writeSnapshot(fold("t", [event("version.replaced", 5, { version: 1, text: "다" })]));
  assert.equal(takeSnapshot(known, newer).versions[0].text, "다");
});

test("an end that was seen stays, whatever a late snapshot says", () => {
  const ended = fold("t", [event("task.cancelled", 3, { started: false, versions: [], ended_at: "2026-03-02T00:00:00Z" })]);
  const late = writeSnapshot(fold("t", [{ ...event("task.started", 9), attempt: "9-9" }]));
  assert.equal(takeSnapshot(ended, late).stage, "cancelled");
});
