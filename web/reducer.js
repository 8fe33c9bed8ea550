// What a log of events means: the page's copy of contracts/lifecycle.py, held to the same golden files.
// A state has the fields of a snapshot; `progress` is how far the log has been judged.

export const ENDED = new Set(["succeeded", "failed", "cancelled", "expired"]);
export const SETTLED = new Set(["completed", "failed"]);

const OUTSIDE = Object.freeze([0, 0]);
const NO_USAGE = Object.freeze({
  model: "",
  call_count: 0,
  input_tokens: 0,
  output_tokens: 0,
  discarded_call_count: 0,
  discarded_tokens: 0,
});
const PROGRESS = Object.freeze({ attempt: OUTSIDE, sequence: -1, ended: false, hole_count: 0, ignored_count: 0 });
const TERMINAL_STAGES = {
  "task.succeeded": "succeeded",
  "task.failed": "failed",
  "task.cancelled": "cancelled",
  "task.expired": "expired",
};
const CONCLUDED_STAGES = { completed: "completed", failed: "failed", unfinished: "waiting" };

/** Return the length of a text in Unicode code points, which is what offsets count. */
export function countCodePoints(text) {
  let count = text.length;
  for (let index = 0; index < text.length - 1; index += 1) {
    const high = text.charCodeAt(index);
    if (high < 0xd800 || high > 0xdbff) continue;
    const low = text.charCodeAt(index + 1);
    if (low >= 0xdc00 && low <= 0xdfff) {
      count -= 1;
      index += 1;
    }
  }
  return count;
}

export function newTask(taskId) {
  return {
    task_id: taskId,
    stage: "queued",
    started: false,
    degraded: false,
    reason: null,
    waiting: null,
    versions: [],
    usage: NO_USAGE,
    edition: "",
    school_level: "",
    item: "",
    limit: null,
    accepted_at: null,
    start_deadline: null,
    end_deadline: null,
    ended_at: null,
    progress: PROGRESS,
  };
}

/** Decide whether a record counts: the new progress, and `apply`, `duplicate`, `zombie` or `after_end`. */
export function judge(progress, attempt, sequence, terminal) {
  const order = compareAttempts(attempt, progress.attempt);
  const verdict = giveVerdict(progress, order, sequence, terminal);
  if (verdict !== "apply") return [{ ...progress, ignored_count: progress.ignored_count + 1 }, verdict];
  if (order < 0) return [{ ...progress, ended: true }, verdict]; // a zombie's end counts, its place does not
  const expected = order === 0 ? progress.sequence + 1 : 0;
  const holeCount = progress.hole_count + Math.max(0, sequence - expected);
  return [{ attempt, sequence, ended: terminal, hole_count: holeCount, ignored_count: progress.ignored_count }, verdict];
}

function giveVerdict(progress, order, sequence, terminal) {
  if (progress.ended) return "after_end";
  if (terminal) return "apply";
  if (order < 0) return "zombie";
  if (order === 0 && sequence <= progress.sequence) return "duplicate";
  return "apply";
}

/** Return the state after one more event of the task's log; unknown types leave it as it is. */
export function reduce(state, event) {
  if (!Object.hasOwn(ARMS, event.type)) return state;
  const apply = ARMS[event.type];
  const attempt = parseAttempt(event.attempt);
  const terminal = Object.hasOwn(TERMINAL_STAGES, event.type);
  const [progress, verdict] = judge(state.progress, attempt, event.sequence, terminal);
  if (verdict !== "apply") return { ...state, progress };
  const isNewAttempt = compareAttempts(attempt, state.progress.attempt) > 0;
  const base = isNewAttempt && !terminal ? beginAttempt(state) : state;
  return { ...apply(base, event), progress };
}

export function fold(taskId, events) {
  return events.reduce(reduce, newTask(taskId));
}

/** Return the state that a snapshot tells. */
export function readSnapshot(snapshot) {
  const state = newTask(snapshot.task_id);
  for (const name of Object.keys(state)) {
    if (name !== "progress" && snapshot[name] !== undefined) state[name] = snapshot[name];
  }
  state.versions = state.versions.map((version) => ({ ...newVersion(version.version), ...version }));
  state.progress = {
    ...PROGRESS,
    attempt: parseAttempt(snapshot.attempt ?? "0-0"),
    sequence: snapshot.sequence ?? -1,
    ended: snapshot.ended ?? ENDED.has(snapshot.stage),
  };
  return state;
}

/** Return a state in the fields of a snapshot, less the cursor. */
export function writeSnapshot(state) {
  const { progress, ...fields } = state;
  return {
    ...fields,
    ended: progress.ended,
    attempt: progress.attempt.join("-"),
    sequence: progress.sequence,
  };
}

/** Take a snapshot in: it replaces what is known, unless that is already further on in the same log. */
export function takeSnapshot(state, snapshot) {
  const offered = readSnapshot(snapshot);
  return state && isAhead(state.progress, offered.progress) ? state : offered;
}

function isAhead(progress, offered) {
  if (progress.ended !== offered.ended) return progress.ended;
  const order = compareAttempts(progress.attempt, offered.attempt);
  return order > 0 || (order === 0 && progress.sequence > offered.sequence);
}

function parseAttempt(text) {
  const [generation, bootMs] = text.split("-").map(Number);
  return [generation, bootMs];
}

function compareAttempts(left, right) {
  return left[0] - right[0] || left[1] - right[1];
}

function newVersion(number, viewpoint = "", title = "") {
  return {
    version: number,
    viewpoint,
    title,
    stage: "waiting",
    text: "",
    characters: 0,
    bytes: 0,
    findings: [],
    reason: null,
    usage: NO_USAGE,
  };
}

function findVersion(state, number) {
  return state.versions.find((version) => version.version === number) ?? newVersion(number);
}

/** Change one version; settled versions stay, and any progress means that the task no longer waits. */
function withVersion(state, number, changes) {
  const old = findVersion(state, number);
  if (SETTLED.has(old.stage)) return state;
  const others = state.versions.filter((version) => version.version !== number);
  const versions = [...others, { ...old, ...changes }].sort((left, right) => left.version - right.version);
  return { ...state, versions, waiting: null };
}

function beginAttempt(state) {
  const versions = state.versions.map((version) =>
    SETTLED.has(version.stage) ? version : newVersion(version.version, version.viewpoint, version.title),
  );
  return { ...state, versions, waiting: null };
}

const ARMS = {
  "task.accepted": accept,
  "task.started": (state) => ({ ...state, started: true, stage: state.stage === "cancelling" ? state.stage : "running" }),
  "task.waiting": (state, event) => ({
    ...state,
    waiting: { reason: event.reason, until: event.until ?? null, version: event.version ?? null },
  }),
  "version.phase": (state, event) => withVersion(state, event.version, { stage: event.phase }),
  "version.delta": append,
  "version.replaced": (state, event) => withVersion(state, event.version, { text: event.text }),
  "version.completed": complete,
  "version.failed": fail,
  "task.cancelling": (state) => ({ ...state, stage: "cancelling", waiting: null }),
  "task.succeeded": end,
  "task.failed": end,
  "task.cancelled": end,
  "task.expired": end,
};

/** The event types that move a state. */
export const EVENT_TYPES = Object.keys(ARMS);

function accept(state, event) {
  const versions = event.versions.map((plan) => ({
    ...findVersion(state, plan.version),
    viewpoint: plan.viewpoint,
    title: plan.title,
  }));
  const { edition, school_level, item, limit, accepted_at, start_deadline, end_deadline } = event;
  return { ...state, edition, school_level, item, limit: readLimit(limit), accepted_at, start_deadline, end_deadline, versions };
}

function append(state, event) {
  const version = findVersion(state, event.version);
  if (SETTLED.has(version.stage) || event.offset !== countCodePoints(version.text)) return state;
  return withVersion(state, event.version, { text: version.text + event.text });
}

function complete(state, event) {
  return withVersion(state, event.version, {
    stage: "completed",
    text: event.text,
    characters: event.characters,
    bytes: event.bytes,
    findings: readFindings(event.findings),
    usage: readUsage(event.usage),
  });
}

function fail(state, event) {
  return withVersion(state, event.version, {
    stage: "failed",
    text: event.text ?? "",
    findings: readFindings(event.findings),
    reason: event.reason,
    usage: readUsage(event.usage),
  });
}

function end(state, event) {
  const stage = TERMINAL_STAGES[event.type];
  const outcomes = event.versions ?? [];
  return {
    ...state,
    stage,
    reason: { failed: event.reason, expired: "deadline" }[stage] ?? null,
    started: { succeeded: true, failed: state.started }[stage] ?? event.started,
    degraded: stage === "succeeded" && (event.degraded ?? false),
    waiting: null,
    versions: outcomes.length ? outcomes.map((outcome) => conclude(state, outcome)) : state.versions,
    usage: readUsage(event.usage),
    ended_at: event.ended_at,
  };
}

function conclude(state, outcome) {
  const known = findVersion(state, outcome.version);
  return {
    version: outcome.version,
    viewpoint: outcome.viewpoint || known.viewpoint,
    title: known.title,
    stage: CONCLUDED_STAGES[outcome.status],
    text: outcome.text ?? "",
    characters: outcome.characters ?? 0,
    bytes: outcome.bytes ?? 0,
    findings: readFindings(outcome.findings),
    reason: outcome.reason ?? null,
    usage: readUsage(outcome.usage),
  };
}

function readLimit({ characters, bytes }) {
  return { characters, bytes };
}

function readUsage(usage = {}) {
  return Object.fromEntries(Object.entries(NO_USAGE).map(([name, none]) => [name, usage[name] ?? none]));
}

function readFindings(findings = []) {
  return findings.map(({ rule_id, category, severity, start, end, matched, reason, clause, fix, suggestions, dismissible }) => ({
    rule_id,
    category,
    severity,
    start,
    end,
    matched,
    reason,
    clause,
    fix,
    suggestions: suggestions ?? [],
    dismissible,
  }));
}
