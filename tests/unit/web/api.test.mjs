import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, ApiProblem, newIdempotencyKey, submitWithRetries } from "../../../web/api.js";

/** An API whose answers are given in turn; a number is a status, null no answer at all. */
function apiAnswering(...answers) {
  const asked = [];
  const fetch = async (url, options) => {
    asked.push({ url: url.href, ...options });
    const answer = answers.shift();
    if (answer === null) throw new TypeError("no network");
    const headers = { "Retry-After": "2", Date: "Mon, 02 Mar 2026 09:00:00 GMT" };
    return new Response(JSON.stringify({ task_id: "t" }), { status: answer, headers });
  };
  return { asked, api: new Api({ fetch, base: "http://api.test/", now: () => Date.parse("2026-03-02T08:00:00Z") }) };
}

async function submit(api, key = "k") {
  const waits = [];
  const retries = { onRetry: (...said) => waits.push(said), wait: async () => {} };
  return { answer: await submitWithRetries(api, { notes: "메모" }, key, retries), waits };
}

test("trouble that passes is tried again with the same key", async () => {
  const { asked, api } = apiAnswering(503, null, 429, 202);
  const { answer, waits } = await submit(api);
  assert.equal(answer.task_id, "t");
  assert.deepEqual(asked.map((request) => request.headers["Idempotency-Key"]), ["k", "k", "k", "k"]);
  assert.deepEqual(waits, [[2, 2, 6], [3, 3, 6], [2, 4, 6]]);
});

test("it gives up after six tries", async () => {
  const { asked, api } = apiAnswering(...Array(9).fill(503));
  await assert.rejects(submit(api), (problem) => problem instanceof ApiProblem && problem.status === 503);
  assert.equal(asked.length, 6);
});

test("a refusal is not tried again", async () => {
  const { asked, api } = apiAnswering(422);
  await assert.rejects(submit(api), { status: 422 });
  assert.equal(asked.length, 1);
});

test("notes are in the body and never in the address", async () => {
  const { asked, api } = apiAnswering(202);
  await submit(api);
  assert.equal(asked[0].url, "http://api.test/v1/tasks");
});

test("deadlines are measured by the server's clock", async () => {
  const { api } = apiAnswering(202);
  await submit(api);
  assert.equal(api.serverNow, Date.parse("2026-03-02T09:00:00Z"));
});

test("keys are 128 random bits", () => {
  assert.match(newIdempotencyKey(), /^[0-9a-f]{32}$/);
  assert.notEqual(newIdempotencyKey(), newIdempotencyKey());
});
