// The API: what the page asks of it, and its answers. Problems become ApiProblem; no text goes into a URL.

const TIMEOUT_MS = 15_000;
const LONGEST_RETRY_SECONDS = 30;
const DEFAULT_RETRY_SECONDS = 3;
const MOST_TRIES = 6;

export class ApiProblem extends Error {
  /** `status` is 0 when there was no answer at all. */
  constructor(status, { type = "", retryAfterSeconds = null } = {}) {
    super(`the API answered ${status}`);
    this.status = status;
    this.type = type;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  /** Whether the same request may do better a little later. */
  get passes() {
    return [0, 429, 502, 503, 504].includes(this.status);
  }
}

export class Api {
  #fetch;
  #base;
  #now;
  #clockOffset = 0;

  constructor({ fetch, base, now = Date.now }) {
    this.#fetch = fetch;
    this.#base = base;
    this.#now = now;
  }

  /** The server's clock in milliseconds, as far as its answers told it: a deadline is the server's. */
  get serverNow() {
    return this.#now() + this.#clockOffset;
  }

  readCatalogue() {
    return this.#ask("GET", "/v1/catalogue");
  }

  /** Submit once; `key` makes a repetition reach the same task. */
  submit(request, key) {
    return this.#ask("POST", "/v1/tasks", { body: request, headers: { "Idempotency-Key": key } });
  }

  cancel(taskId) {
    return this.#ask("POST", `/v1/tasks/${taskId}/cancel`);
  }

  /** Fetch a ticket for the owner's stream: {url, ticket, expiresAt}. */
  async fetchTicket() {
    const { ticket, ticket_expires_at: expiresAt, links } = await this.#ask("POST", "/v1/tickets");
    return { ticket, expiresAt: Date.parse(expiresAt), url: new URL(links.events, this.#base).href };
  }

  async #ask(method, path, { body, headers = {} } = {}) {
    const response = await this.#send(new URL(path, this.#base), {
      method,
      headers: body ? { "Content-Type": "application/json", ...headers } : headers,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    this.#readClock(response);
    if (!response.ok) throw await readProblem(response);
    return response.json();
  }

  async #send(url, options) {
    try {
      return await this.#fetch(url, options);
    } catch {
      throw new ApiProblem(0);
    }
  }

  #readClock(response) {
    const time = Date.parse(response.headers.get("Date") ?? "");
    if (!Number.isNaN(time)) this.#clockOffset = time - this.#now();
  }
}

async function readProblem(response) {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const retryAfterSeconds = Number.isFinite(seconds) ? Math.min(seconds, LONGEST_RETRY_SECONDS) : null;
  const problem = await response.json().catch(() => ({}));
  return new ApiProblem(response.status, { type: String(problem?.type ?? ""), retryAfterSeconds });
}

/**
 * Submit until it is accepted: trouble that passes is tried again with the same key, a bounded number of times.
 * `onRetry(seconds, tried, most)` says so before each wait; `wait(seconds)` waits.
 */
export async function submitWithRetries(api, request, key, { onRetry, wait }) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await api.submit(request, key);
    } catch (problem) {
      if (!(problem instanceof ApiProblem) || !problem.passes || tried >= MOST_TRIES) throw problem;
      const seconds = Math.max(1, problem.retryAfterSeconds ?? DEFAULT_RETRY_SECONDS);
      onRetry(seconds, tried + 1, MOST_TRIES);
      await wait(seconds);
    }
  }
}

/** Return a new idempotency key: 128 random bits in hexadecimal. */
export function newIdempotencyKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
