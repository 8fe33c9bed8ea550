// The page's wiring: what is seen follows from the tasks' states, and those from the stream.

import { Api, ApiProblem } from "./api.js";
import { readCatalogue } from "./catalogue.js";
import { confirmCopy, copyText } from "./copying.js";
import { Drafts } from "./drafts.js";
import { make, setData, setText } from "./element.js";
import { NotesForm } from "./notes_form.js";
import { EVENT_TYPES, newTask, reduce, takeSnapshot } from "./reducer.js";
import { OwnerStream, backOff } from "./stream.js";
import { TaskList } from "./task_list.js";
import { TaskPanel } from "./task_panel.js";
import * as words from "./words.js";

const CALM_MS = 1_500;
const TOAST_MS = 4_000;
const HIDDEN_RENDER_MS = 1_000;
const TITLE = document.title;

const find = (id) => document.getElementById(id);
const clock = {
  now: () => Date.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: (id) => clearTimeout(id),
};
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

class Page {
  #tasks = new Map();
  #changed = new Set();
  #isRenderPlanned = false;
  #panel = null;
  #selected = "";
  #statusTimer = null;
  #toastTimer = null;
  #drafts = new Drafts(openStorage());
  #settings = this.#drafts.readSettings();
  #api = new Api({ fetch: (...request) => fetch(...request), base: document.baseURI });
  #list = new TaskList(find("task-list"));
  #form = new NotesForm({
    form: find("notes-form"),
    api: this.#api,
    drafts: this.#drafts,
    wait,
    onAccepted: (answer, request, label) => this.#accepted(answer, request, label),
  });
  #stream = new OwnerStream({
    fetchTicket: () => this.#api.fetchTicket(),
    openSource: (url) => new EventSource(url),
    clock,
    eventTypes: [...EVENT_TYPES, "snapshot", "gap", "synced"],
    onEvent: (type, data) => this.#receive(type, data),
    onStatus: () => this.#planStatus(),
    isBusy: () => this.#running().length > 0,
  });

  async start() {
    this.#drafts.expire();
    this.#listen();
    this.#select();
    this.#stream.open();
    await this.#offerCatalogue();
  }

  #listen() {
    addEventListener("hashchange", () => this.#select());
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => this.#stream.doubt());
    addEventListener("pagehide", () => this.#stream.close());
    addEventListener("pageshow", (event) => event.persisted && this.#stream.open());
    document.addEventListener("visibilitychange", () => this.#changeVisibility());
    addEventListener("storage", () => this.#panel?.adoptEdits());
    find("new-task").addEventListener("click", () => setTimeout(() => this.#form.focus()));
    find("clear-drafts").addEventListener("click", () => this.#clearDrafts());
    const careful = find("careful-enter");
    careful.checked = this.#settings.enterBytes === 2;
    careful.addEventListener("change", () => this.#countEnterAs(careful.checked ? 2 : 1));
    setInterval(() => this.#tick(), 1_000);
  }

  async #offerCatalogue() {
    for (let failureCount = 1; ; failureCount += 1) {
      try {
        const catalogue = readCatalogue(await this.#api.readCatalogue());
        this.#form.offer(catalogue);
        this.#markSimulated(catalogue.simulated);
        return;
      } catch (problem) {
        if (!(problem instanceof ApiProblem)) throw problem;
        this.#form.say(words.CATALOGUE_FAILED, "warn");
        await wait(1 + backOff(failureCount, Math.random) / 1000);
      }
    }
  }

  #accepted(answer, request, label) {
    this.#drafts.writeTask(answer.task_id, { label, notes: request.notes });
    this.#markSimulated(answer.simulated);
    this.#update(this.#tasks.get(answer.task_id) ?? plannedTask(answer, request));
    location.hash = answer.task_id;
  }

  #receive(type, data) {
    if (type === "gap") this.#toast(words.GAP);
    else if (type === "snapshot") this.#update(takeSnapshot(this.#tasks.get(data.task_id), data));
    else if (type !== "synced") this.#update(reduce(this.#tasks.get(data.task_id) ?? newTask(data.task_id), data));
  }

  #update(task) {
    this.#tasks.set(task.task_id, task);
    this.#changed.add(task.task_id);
    this.#planRender();
  }

  /** Render at most once for each frame, however many events there were. */
  #planRender() {
    if (this.#isRenderPlanned) return;
    this.#isRenderPlanned = true;
    const render = () => this.#render();
    if (document.hidden) setTimeout(render, HIDDEN_RENDER_MS);
    else requestAnimationFrame(render);
  }

  #render() {
    this.#isRenderPlanned = false;
    const changed = this.#changed;
    this.#changed = new Set();
    for (const taskId of changed) this.#renderRow(this.#tasks.get(taskId));
    this.#list.arrange(this.#tasks.values());
    this.#list.select(this.#selected);
    this.#renderSummary();
    if (changed.has(this.#selected)) this.#renderPanel();
  }

  #renderRow(task) {
    this.#list.render(task, this.#drafts.readTask(task.task_id).label, this.#api.serverNow);
  }

  #renderSummary() {
    const running = this.#running().length;
    find("tasks-empty").hidden = this.#tasks.size > 0;
    setText(find("tasks-running"), words.sayRunning(running));
    document.title = running ? `(${running}) ${TITLE}` : TITLE;
  }

  #renderPanel() {
    const task = this.#tasks.get(this.#selected);
    if (!task) return;
    if (!this.#panel) this.#openPanel(task.task_id);
    this.#panel.render(task);
  }

  /** Build a new panel for a task: nothing of the one before stays on screen. */
  #openPanel(taskId) {
    this.#panel = new TaskPanel({
      taskId,
      drafts: this.#drafts,
      enterBytes: this.#settings.enterBytes,
      serverNow: () => this.#api.serverNow,
      onCancel: () => this.#cancel(taskId),
      onAgain: (kept) => this.#again(taskId, kept),
      onCopy: (text, warnings, field) => this.#copy(text, warnings, field),
      onAnnounce: (text) => setText(find("announcer"), text),
    });
    find("task").replaceChildren(this.#panel.element);
  }

  /** Show the task that the address names, or the form. */
  #select() {
    const taskId = location.hash.slice(1);
    this.#selected = /^[0-9a-f]{32}$/.test(taskId) ? taskId : "";
    this.#panel = null;
    find("task").replaceChildren();
    find("task").hidden = !this.#selected;
    find("notes-form").hidden = Boolean(this.#selected);
    this.#list.select(this.#selected);
    if (this.#selected) find("new-task").removeAttribute("aria-current");
    else find("new-task").setAttribute("aria-current", "page");
    this.#renderPanel();
    if (this.#panel) {
      scrollTo(0, 0);
      this.#panel.focus();
    }
  }

  async #cancel(taskId) {
    try {
      await this.#api.cancel(taskId);
      return true;
    } catch (problem) {
      if (!(problem instanceof ApiProblem)) throw problem;
      const isNoTask = problem.status === 404; // Kafka failed between the acceptance and the request
      this.#toast(isNoTask ? words.CANCEL_UNKNOWN : words.CANCEL_FAILED);
      return false;
    }
  }

  #again(taskId, { notes, label }) {
    const { item, school_level } = this.#tasks.get(taskId);
    this.#form.fill({ notes, label, school_level, item });
    location.hash = "";
    this.#form.focus();
  }

  async #copy(text, warnings, field) {
    if (!(await confirmCopy(find("copy-dialog"), warnings))) return;
    this.#toast((await copyText(text, field)) ? words.COPIED : words.COPY_FAILED);
  }

  #clearDrafts() {
    this.#drafts.clear();
    this.#form.clear();
    this.#panel?.adoptEdits();
    for (const task of this.#tasks.values()) this.#update(task);
    find("settings").open = false;
    this.#toast(words.CLEARED);
  }

  #countEnterAs(enterBytes) {
    this.#settings = { ...this.#settings, enterBytes };
    this.#drafts.writeSettings(this.#settings);
    this.#panel?.setEnterBytes(enterBytes);
  }

  #running() {
    return [...this.#tasks.values()].filter((task) => !task.progress.ended);
  }

  /** Deadlines and waits pass without any event. */
  #tick() {
    for (const task of this.#running()) this.#renderRow(task);
    const task = this.#tasks.get(this.#selected);
    if (this.#panel && task && !task.progress.ended) this.#panel.renderStage(task);
  }

  #wake() {
    this.#renderStatus();
    this.#stream.wake();
  }

  /** A page nobody looks at gives its connection up once nothing is being written: browsers allow few. */
  #changeVisibility() {
    if (!document.hidden && this.#stream.status === "idle") this.#stream.open();
    else if (!document.hidden) this.#wake();
    else if (this.#running().length === 0) this.#stream.close();
    if (!document.hidden) this.#render();
  }

  /** A connection that comes back at once is not worth a word. */
  #planStatus() {
    clearTimeout(this.#statusTimer);
    if (this.#stream.status === "live") this.#renderStatus();
    else this.#statusTimer = setTimeout(() => this.#renderStatus(), CALM_MS);
  }

  #renderStatus() {
    const status = navigator.onLine || this.#stream.status === "live" ? this.#stream.status : "offline";
    setText(find("connection"), words.CONNECTIONS[status]);
    setData(find("connection"), "status", status);
  }

  #markSimulated(simulated) {
    if (simulated) find("simulated").hidden = false;
  }

  #toast(text) {
    const toast = find("toast");
    toast.replaceChildren(make("span", {}, text));
    clearTimeout(this.#toastTimer);
    this.#toastTimer = setTimeout(() => toast.replaceChildren(), TOAST_MS);
  }
}

/** A task as the answer to its submission tells it, until the stream does. */
function plannedTask(answer, request) {
  const { task_id, accepted_at, start_deadline, end_deadline, limit, versions } = answer;
  const plan = { type: "task.accepted", edition: "", accepted_at, start_deadline, end_deadline, limit, versions };
  const { progress } = newTask(task_id);
  const planned = { ...plan, attempt: "0-0", sequence: 0, school_level: request.school_level, item: request.item };
  return { ...reduce(newTask(task_id), planned), progress };
}

/** Return the browser's storage, or null where even touching it is forbidden. */
function openStorage() {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

new Page().start();
