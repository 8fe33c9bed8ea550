// The owner's stream: one EventSource for every task, opened again whenever it is silent, refused or cut.
// EventSource resumes a broken connection on its own; this class sees to what it cannot: an expired ticket, a
// connection that only looks alive, a machine that slept.

export const SILENCE_MS = 40_000;
const LONGEST_SILENCE_MS = 160_000;
const OVERLOADED_SILENCE_MS = 180_000;
const CHECK_MS = 5_000;
const FIRST_DELAY_MS = 1_000;
const LONGEST_DELAY_MS = 30_000;
const REFUSALS_BEFORE_FRESH_START = 3;
const EXPIRY_MARGIN_MS = 30_000;
const CONNECTING = 0;
const CLOSED = 2;

/** The delay before try `failureCount`: none at first, then doubling, with jitter, at most 30 s. */
export function backOff(failureCount, random) {
  if (failureCount <= 1) return 0;
  const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failureCount - 2));
  return ceiling / 2 + (random() * ceiling) / 2;
}

export class OwnerStream {
  #fetchTicket;
  #openSource;
  #clock;
  #random;
  #eventTypes;
  #onEvent;
  #onStatus;
  #isBusy;
  #status = "idle";
  #source = null;
  #ticket = null;
  #cursor = "";
  #generation = 0;
  #failureCount = 0;
  #retryTimer = null;
  #checkTimer = null;
  #lastSign = 0;
  #allowedSilence = SILENCE_MS;

  /**
   * `fetchTicket()` → {url, ticket, expiresAt (ms)}; `openSource(url)` → an EventSource; `clock` has now, setTimeout
   * and clearTimeout; `onEvent(type, data)`; `onStatus(status)` with `connecting`, `live`, `reconnecting`,
   * `overloaded` or `idle`; `isBusy()` says whether something is expected to arrive.
   */
  constructor({ fetchTicket, openSource, clock, random = Math.random, eventTypes, onEvent, onStatus, isBusy }) {
    this.#fetchTicket = fetchTicket;
    this.#openSource = openSource;
    this.#clock = clock;
    this.#random = random;
    this.#eventTypes = eventTypes;
    this.#onEvent = onEvent;
    this.#onStatus = onStatus;
    this.#isBusy = isBusy;
  }

  get status() {
    return this.#status;
  }

  get cursor() {
    return this.#cursor;
  }

  /** Open the stream, or open it again behind the last event that was seen. */
  open() {
    this.#disconnect();
    this.#setStatus(this.#status === "idle" ? "connecting" : this.#status);
    this.#checkTimer = this.#clock.setTimeout(() => this.#check(), CHECK_MS);
    return this.#connect();
  }

  /** Close the stream; `open` goes on from where it was. */
  close() {
    this.#disconnect();
    this.#setStatus("idle");
  }

  /** Look at the connection at once: the network is back, or the page was asleep. */
  wake() {
    const silence = this.#clock.now() - this.#lastSign;
    if (this.#status !== "live" || silence >= SILENCE_MS) this.doubt();
  }

  /** Open the stream anew however well it looks: a connection outlives its network without a sign. */
  doubt() {
    if (this.#status === "idle" || this.#status === "overloaded") return;
    this.#failureCount = 0;
    this.open();
  }

  #disconnect() {
    this.#generation += 1;
    this.#clock.clearTimeout(this.#retryTimer);
    this.#clock.clearTimeout(this.#checkTimer);
    this.#source?.close();
    this.#source = null;
    this.#lastSign = this.#clock.now();
  }

  async #connect() {
    const generation = this.#generation;
    try {
      if (!this.#hasTicket()) this.#ticket = await this.#fetchTicket();
    } catch {
      if (generation === this.#generation) this.#retry();
      return;
    }
    if (generation === this.#generation) this.#listen(this.#openSource(this.#url()));
  }

  #hasTicket() {
    return this.#ticket && this.#ticket.expiresAt > this.#clock.now() + EXPIRY_MARGIN_MS;
  }

  #url() {
    const url = new URL(this.#ticket.url);
    url.searchParams.set("ticket", this.#ticket.ticket);
    if (this.#cursor) url.searchParams.set("after", this.#cursor);
    return url.href;
  }

  #listen(source) {
    this.#source = source;
    this.#lastSign = this.#clock.now();
    source.addEventListener("open", () => this.#opened());
    source.addEventListener("error", () => this.#broke(source));
    source.addEventListener("overloaded", () => this.#setStatus("overloaded"));
    for (const type of this.#eventTypes) {
      source.addEventListener(type, (message) => this.#receive(type, message));
    }
  }

  #opened() {
    this.#failureCount = 0;
    this.#lastSign = this.#clock.now();
    if (this.#status !== "overloaded") this.#setStatus("live"); // it may be only to say that it still is
  }

  #receive(type, message) {
    this.#lastSign = this.#clock.now();
    this.#allowedSilence = SILENCE_MS;
    this.#setStatus("live");
    if (message.lastEventId) this.#cursor = message.lastEventId;
    this.#onEvent(type, JSON.parse(message.data));
  }

  #broke(source) {
    if (source !== this.#source) return;
    this.#lastSign = this.#clock.now();
    if (source.readyState === CLOSED) this.#refused();
    else if (this.#status !== "overloaded") this.#setStatus("reconnecting");
  }

  /** The server said no, and EventSource tells nobody why: a new ticket is the usual cure. */
  #refused() {
    this.#ticket = null;
    if (this.#failureCount + 1 >= REFUSALS_BEFORE_FRESH_START) this.#cursor = "";
    this.#retry();
  }

  #retry() {
    this.#source?.close();
    this.#source = null;
    this.#failureCount += 1;
    this.#setStatus("reconnecting");
    const delay = backOff(this.#failureCount, this.#random);
    this.#retryTimer = this.#clock.setTimeout(() => this.#connect(), delay);
  }

  /** Heartbeats are comments and reach no listener, so silence counts only while something should arrive. */
  #check() {
    this.#checkTimer = this.#clock.setTimeout(() => this.#check(), CHECK_MS);
    if (!this.#source) return;
    const silence = this.#clock.now() - this.#lastSign;
    if (this.#source.readyState === CONNECTING) {
      if (this.#status === "live") this.#setStatus("reconnecting");
      if (silence >= (this.#status === "overloaded" ? OVERLOADED_SILENCE_MS : SILENCE_MS)) this.open();
    } else if (this.#status === "overloaded") {
      if (silence >= CHECK_MS) this.#setStatus("live");
    } else if (this.#isBusy() && silence >= this.#allowedSilence) {
      this.#allowedSilence = Math.min(LONGEST_SILENCE_MS, this.#allowedSilence * 2);
      this.open();
    }
  }

  #setStatus(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.#onStatus(status);
  }
}
