// The byte bar: how much of the limit a text takes.

import { compareWithLimit } from "./byte_count.js";
import { make, setData, setText } from "./element.js";
import { sayBytes, sayNear, sayOver } from "./words.js";

export class ByteBar {
  #fill = make("span", { className: "bytes-fill" });
  #size = make("span", { className: "bytes-size" });
  #note = make("span", { className: "bytes-note" });
  #meter;

  constructor(title) {
    this.#meter = make("div", { className: "bytes-track", role: "meter", "aria-label": title, "aria-valuemin": "0" }, this.#fill);
    this.element = make("div", { className: "bytes" }, this.#meter, make("p", { className: "bytes-words" }, this.#size, this.#note));
  }

  render(size, limit) {
    const standing = compareWithLimit(size, limit);
    const note = { ok: "", near: sayNear(limit - size), over: sayOver(size - limit) }[standing];
    setData(this.element, "standing", standing);
    this.#fill.style.transform = `scaleX(${Math.min(1, size / limit)})`;
    setText(this.#size, sayBytes(size, limit));
    setText(this.#note, note);
    this.#meter.setAttribute("aria-valuenow", String(Math.min(size, limit)));
    this.#meter.setAttribute("aria-valuemax", String(limit));
    this.#meter.setAttribute("aria-valuetext", `${sayBytes(size, limit)} ${note}`.trim());
  }
}
