import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { OwnerStream, SILENCE_MS, backOff } from "../../../web/stream.js";

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

class ManualClock {
  #now = 1_000_000;
  #timers = new Map();
  #lastId = 0;

  now() {
    return this.#now;
  }

  setTimeout(callback, delay) {
    this.#lastId += 1;
    this.#timers.set(this.#lastId, { at: this.#now + delay, callback });
    return this.#lastId;
  }

  clearTimeout(id) {
    this.#timers.delete(id);
  }

  async advance(milliseconds) {
    const end = this.#now + milliseconds;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= end).sort((a, b) => a[1].at - b[1].at)[0];
      if (!due) break;
      const [id, { at, callback }] = due;
      this.#timers.delete(id);
      this.#now = Math.max(this.#now, at);
      callback();
      await settle();
    }
    this.#now = end;
  }

  /** Let time pass without running anything, as a sleeping machine does. */
  sleep(milliseconds) {
    this.#now += milliseconds;
  }
}

/** An EventSource whose server is the test. */
class ScriptedSource extends EventTarget {
  readyState = CONNECTING;
  closed = false;

  constructor(url) {
    super();
    this.url = new URL(url);
  }

  close() {
    this.readyState = CLOSED;
    this.closed = true;
  }

  accept() {
    this.readyState = OPEN;
    this.dispatchEvent(new Event("open"));
  }

  send(type, data, lastEventId = "") {
    const message = new Event(type);
    message.data = JSON.stringify(data);
    message.lastEventId = lastEventId;
    this.dispatchEvent(message);
  }

  cut() {
    this.readyState = CONNECTING;
    this.dispatchEvent(new Event("error"));
  }

  refuse() {
    this.readyState = CLOSED;
    this.dispatchEvent(new Event("error"));
  }
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

let clock, sources, received, statuses, ticketCount, failTickets, busy, stream;

beforeEach(() => {
  clock = new ManualClock();
  sources = [];
  received = [];
  statuses = [];
  ticketCount = 0;
  failTickets = false;
  busy = true;
  stream = new OwnerStream({
    async fetchTicket() {
      ticketCount += 1;
      if (failTickets) throw new Error("no ticket");
      return { url: "http://relay.test/v1/events", ticket: `t${ticketCount}`, expiresAt: clock.now() + 3_600_000 };
    },
    openSource(url) {
      sources.push(new ScriptedSource(url));
      return sources.at(-1);
    },
    clock,
    random: () => 1,
    eventTypes: ["snapshot", "version.delta"],
    onEvent: (type, data) => received.push([type, data]),
    onStatus: (status) => statuses.push(status),
    isBusy: () => busy,
  });
});

async function goLive() {
  await stream.open();
  sources[0].accept();
  sources[0].send("snapshot", { a: 1 });
  sources[0].send("version.delta", { b: 2 }, "0-7");
  return sources[0];
}

test("it opens with a ticket and without a cursor, and hands events on", async () => {
  const source = await goLive();
  assert.equal(source.url.search, "?ticket=t1");
  assert.deepEqual(received, [["snapshot", { a: 1 }], ["version.delta", { b: 2 }]]);
  assert.deepEqual(statuses, ["connecting", "live"]);
});

test("a cut is left to EventSource, which knows the last id", async () => {
  const source = await goLive();
  source.cut();
  assert.equal(stream.status, "reconnecting");
  source.accept();
  assert.equal(stream.status, "live");
  assert.equal(sources.length, 1);
});

test("a refusal is answered with a new ticket and the cursor", async () => {
  (await goLive()).refuse();
  await clock.advance(0);
  assert.equal(sources.length, 2);
  assert.equal(sources[1].url.searchParams.get("ticket"), "t2");
  assert.equal(sources[1].url.searchParams.get("after"), "0-7");
});

test("after three refusals in a row the cursor is given up for snapshots", async () => {
  (await goLive()).refuse();
  await clock.advance(0);
  sources[1].refuse();
  await clock.advance(1_000);
  assert.equal(sources[2].url.searchParams.get("after"), "0-7");
  sources[2].refuse();
  await clock.advance(2_000);
  assert.equal(sources[3].url.searchParams.has("after"), false);
});

test("tries without end are further and further apart, up to 30 seconds", async () => {
  failTickets = true;
  await stream.open();
  await clock.advance(600_000);
  assert.ok(ticketCount >= 20 && ticketCount <= 30, `${ticketCount} tries in ten minutes`);
  assert.equal(stream.status, "reconnecting");
});

test("the delay has jitter", () => {
  assert.equal(backOff(1, () => 1), 0);
  assert.equal(backOff(4, () => 0), 2_000);
  assert.equal(backOff(4, () => 1), 4_000);
  assert.equal(backOff(99, () => 1), 30_000);
});

test("a silent stream is opened again behind the last event while something is expected", async () => {
  await goLive();
  await clock.advance(SILENCE_MS + 5_000);
  assert.equal(sources.length, 2);
  assert.ok(sources[0].closed);
  assert.equal(sources[1].url.searchParams.get("after"), "0-7");
  assert.equal(ticketCount, 1);
});

test("a silent stream is left alone when nothing is expected", async () => {
  busy = false;
  await goLive();
  await clock.advance(600_000);
  assert.equal(sources.length, 1);
});

test("silence that a new connection does not end is looked into less often", async () => {
  await goLive();
  for (let passed = 0; passed < 600_000; passed += 5_000) {
    await clock.advance(5_000);
    if (sources.at(-1).readyState === CONNECTING) sources.at(-1).accept();
  }
  assert.ok(sources.length >= 4 && sources.length <= 6, `${sources.length} connections in ten minutes`);
});

test("a connection that never opens is tried anew", async () => {
  await stream.open();
  await clock.advance(SILENCE_MS + 5_000);
  assert.equal(sources.length, 2);
  assert.ok(sources[0].closed);
});

test("a silent reopening that fails is told", async () => {
  await goLive();
  await clock.advance(SILENCE_MS);
  assert.equal(stream.status, "live");
  await clock.advance(5_000);
  assert.equal(stream.status, "reconnecting");
});

test("an overloaded relay is given the time it asks for", async () => {
  const source = await goLive();
  source.send("overloaded", { reason: "streams" });
  source.cut();
  assert.equal(stream.status, "overloaded");
  await clock.advance(120_000);
  stream.wake();
  assert.equal(sources.length, 1);
  source.accept();
  assert.equal(stream.status, "overloaded");
  source.send("version.delta", { b: 3 }, "0-8");
  assert.equal(stream.status, "live");
});

test("a relay that stays open without a word has room again", async () => {
  const source = await goLive();
  source.send("overloaded", { reason: "streams" });
  source.cut();
  source.accept();
  await clock.advance(10_000);
  assert.equal(stream.status, "live");
});

test("after sleep the connection is not trusted", async () => {
  await goLive();
  clock.sleep(3_000_000);
  stream.wake();
  await settle();
  assert.equal(sources.length, 2);
  assert.equal(sources[1].url.searchParams.get("after"), "0-7");
});

test("waking a fresh connection does nothing", async () => {
  await goLive();
  stream.wake();
  await settle();
  assert.equal(sources.length, 1);
});

test("a network that went away puts even a lively connection in doubt", async () => {
  await goLive();
  stream.doubt();
  await settle();
  assert.ok(sources[0].closed);
  sources[1].cut();
  assert.equal(stream.status, "reconnecting");
});

test("waking cuts a delay short", async () => {
  failTickets = true;
  await stream.open();
  await clock.advance(120_000);
  const before = ticketCount;
  failTickets = false;
  stream.wake();
  await settle();
  assert.equal(ticketCount, before + 1);
  assert.equal(sources.length, 1);
});

test("a closed stream opens nothing, not even when its ticket arrives late", async () => {
  const opening = stream.open();
  stream.close();
  await opening;
  await clock.advance(600_000);
  assert.equal(sources.length, 0);
  assert.equal(stream.status, "idle");
});

test("a stream closed and opened again goes on behind the last event", async () => {
  await goLive();
  stream.close();
  await stream.open();
  assert.equal(sources[1].url.searchParams.get("after"), "0-7");
});

test("a ticket about to expire is replaced before it is used again", async () => {
  await goLive();
  clock.sleep(3_590_000);
  stream.wake();
  await settle();
  assert.equal(sources[1].url.searchParams.get("ticket"), "t2");
});

test("an error of a connection that was given up is ignored", async () => {
  const source = await goLive();
  await clock.advance(SILENCE_MS + 5_000);
  sources[1].accept();
  source.refuse();
  assert.equal(stream.status, "live");
});
