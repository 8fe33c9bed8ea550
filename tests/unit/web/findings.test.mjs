import assert from "node:assert/strict";
import { test } from "node:test";

import { agreeParticle, rebaseFindings, replaceFinding, segmentText, selectionOf } from "../../../web/findings.js";

const finding = (start, end) => ({ start, end });

test("an edit before a finding moves it, one behind it does not", () => {
  assert.deepEqual(rebaseFindings([finding(2, 4)], "가나다라마", "새가나다라마"), [finding(3, 5)]);
  assert.deepEqual(rebaseFindings([finding(2, 4)], "가나다라마", "가나다라마끝"), [finding(2, 4)]);
});

test("an edit inside a finding ends it", () => {
  assert.deepEqual(rebaseFindings([finding(2, 4)], "가나다라마", "가나다X라마"), []);
  assert.deepEqual(rebaseFindings([finding(2, 4)], "가나다라마", "가나마"), []);
});

test("positions are code points, so an emoji counts one", () => {
  assert.deepEqual(rebaseFindings([finding(1, 2)], "😀가", "😀😀가"), [finding(2, 3)]);
  assert.deepEqual(segmentText("😀유튜브", [finding(1, 4)]).map((piece) => piece.text), ["😀", "유튜브"]);
  assert.deepEqual(selectionOf("😀유튜브", finding(1, 4)), [2, 5]);
});

test("pieces put together are the text, whatever the findings say", () => {
  const text = "하나 둘 셋";
  for (const findings of [[], [finding(0, 2), finding(1, 3)], [finding(3, 99)], [finding(2, 2)], [finding(5, 6), finding(0, 1)]]) {
    assert.equal(segmentText(text, findings).map((piece) => piece.text).join(""), text);
  }
});

for (const [text, end, suggestion, expected] of [
  ["유튜브를 봄", 3, "동영상 플랫폼", "동영상 플랫폼을 봄"],
  ["유튜브로 찾음", 3, "동영상 플랫폼", "동영상 플랫폼으로 찾음"],
  ["줌은 편함", 1, "화상회의 도구", "화상회의 도구는 편함"],
  ["엑셀로 정리함", 2, "스프레드시트", "스프레드시트로 정리함"],
  ["통계청이 낸", 3, "국가 통계 기관", "국가 통계 기관이 낸"],
  ["네이버에서 찾음", 3, "포털 사이트", "포털 사이트에서 찾음"],
  ["유튜브 이용", 3, "동영상 플랫폼", "동영상 플랫폼 이용"],
  ["유튜브가공", 3, "동영상 플랫폼", "동영상 플랫폼가공"],
]) {
  test(`${text} → ${expected}`, () => assert.equal(replaceFinding(text, finding(0, end), suggestion), expected));
}

test("after ㄹ it is 로; after a word that is not Korean nothing is guessed", () => {
  assert.equal(agreeParticle("교실", "으로"), "로");
  assert.equal(agreeParticle("SNS", "를"), "를");
});
