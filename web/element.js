// Elements are made here, and text only ever becomes text.

/** Make an element; `children` are nodes or strings, and strings stay text whatever they hold. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Set a text only where it differs, so that nothing is laid out or announced twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set a data attribute only where it differs. */
export function setData(element, name, value) {
  if (element.dataset[name] !== String(value)) element.dataset[name] = value;
}

/** Let a growing text grow: its one text node gets only what is new. */
export function growText(element, text) {
  const node = element.firstChild;
  if (node instanceof Text && element.childNodes.length === 1 && text.startsWith(node.data)) {
    if (text.length > node.length) node.appendData(text.slice(node.length));
  } else {
    element.replaceChildren(text);
  }
}
