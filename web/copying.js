// Copying a text out, after a word about who answers for it.

import { make } from "./element.js";

/** Ask in the dialog; resolves to whether the teacher confirmed. */
export function confirmCopy(dialog, warnings) {
  dialog.querySelector("ul").replaceChildren(...warnings.map((warning) => make("li", {}, warning)));
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "copy"), { once: true });
  });
}

/** Put a text on the clipboard; where that is forbidden, by selecting it in its field. Returns whether it worked. */
export async function copyText(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}
