import assert from "node:assert/strict";
import { test } from "node:test";

import { compareWithLimit, countBytes } from "../../../web/byte_count.js";

const VECTORS = [
  ["", 0],
  ["가", 3],
  ["ㄱ", 3],
  ["가\n나", 7],
  ["가\r\n나", 7],
  ["가\r나", 7],
  ["‘가’", 9],
  ["·", 2],
  ["…", 3],
  ["—", 3],
  ["①", 3],
  ["漢", 3],
  ["Ａ", 3],
  ["\u3000", 3],
  ["°", 2],
  ["é", 2],
  ["\u00a0", 2],
  ["😀", 4],
  ["🇰🇷", 8],
  ["👨‍👩‍👧", 18],
  ["각".normalize("NFD"), 3],
  ["\t", 1],
  ["a1 ", 3],
  ["\ud800", 3],
  ["가\udfff", 6],
];

for (const [text, expected] of VECTORS) {
  test(`${JSON.stringify(text)} takes ${expected} bytes`, () => assert.equal(countBytes(text), expected));
}

test("Enter counts two in the careful count", () => assert.equal(countBytes("가\r\n나\n", 2), 10));

test("a run of a hundred thousand marks is counted in no time", () => {
  assert.equal(countBytes("a" + "\u0301\u0323".repeat(50_000)), 1 + 200_000);
});

for (const [size, expected] of [[0, "ok"], [1349, "ok"], [1350, "near"], [1500, "near"], [1501, "over"]]) {
  test(`${size} of 1500 bytes is ${expected}`, () => assert.equal(compareWithLimit(size, 1500), expected));
}
