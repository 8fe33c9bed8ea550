// What only this browser knows: notes being written, names of tasks, the teacher's edits. Kept for a day, as long as the
// server keeps a task; no storage at all is not an error.

const PREFIX = "draftstream:";
const NOTES = `${PREFIX}notes`;
const SETTINGS = `${PREFIX}settings`;
export const KEPT_MS = 24 * 60 * 60 * 1000;

export class Drafts {
  #storage;
  #now;

  constructor(storage, now = Date.now) {
    this.#storage = storage;
    this.#now = now;
  }

  readNotes() {
    return this.#read(NOTES) ?? {};
  }

  writeNotes(fields) {
    this.#write(NOTES, fields);
  }

  /** Return what is kept of a task: `label`, and `edits` by version with `text` and `findings`. */
  readTask(taskId) {
    return { label: "", edits: {}, ...this.#read(PREFIX + taskId) };
  }

  /** Keep more of a task. Another tab may have written meanwhile, so what is there is read again first. */
  writeTask(taskId, changes) {
    this.#write(PREFIX + taskId, { ...this.readTask(taskId), ...changes });
  }

  writeEdit(taskId, version, edit) {
    const edits = { ...this.readTask(taskId).edits, [version]: edit };
    if (!edit) delete edits[version];
    this.writeTask(taskId, { edits });
  }

  readSettings() {
    return { enterBytes: 1, ...this.#read(SETTINGS) };
  }

  writeSettings(settings) {
    this.#write(SETTINGS, settings);
  }

  /** Forget what is older than a day. */
  expire() {
    for (const key of this.#keys()) this.#read(key);
  }

  /** Forget everything. */
  clear() {
    for (const key of this.#keys()) this.#storage.removeItem(key);
  }

  #keys() {
    return Object.keys(this.#storage ?? {}).filter((key) => key.startsWith(PREFIX));
  }

  #read(key) {
    try {
      const { saved_at: savedAt, value } = JSON.parse(this.#storage.getItem(key));
      if (this.#now() - savedAt < KEPT_MS) return value;
      this.#storage.removeItem(key);
    } catch {
      // Nothing there, not ours, or storage is forbidden: all the same to a reader.
    }
    return null;
  }

  #write(key, value) {
    try {
      this.#storage.setItem(key, JSON.stringify({ saved_at: this.#now(), value }));
    } catch {
      // Full or forbidden: the page works without, it only forgets on a refresh.
    }
  }
}
