// Making and changing elements. Changes touch the page only where something differs, so that focus, selection and screen readers
// are left alone. Never sets a `style` attribute: the pages' Content-Security-Policy forbids it.

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, any>} [props] attributes; `class`, `on*` listeners and `data` among them
 * @param {...(Node|string|null)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) node.addEventListener(key.slice(2), value);
    else if (key === 'data') Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Makes an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/** The element with this id; pages are written together with their scripts, so it is there. */
export const byId = (id) => /** @type {any} */ (document.getElementById(id));

/** Sets text where it differs. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** Sets or removes an attribute where it differs. */
export function attr(node, name, value) {
  if (value === null || value === undefined || value === false) { if (node.hasAttribute(name)) node.removeAttribute(name); }
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? '' : String(value));
}

/** Shows or hides. */
export const show = (node, visible) => { if (node.hidden === visible) node.hidden = !visible; };

/**
 * Keeps a list of children equal to items by key, moving what is there rather than making it anew.
 * @param {Element} parent
 * @param {any[]} items
 * @param {(item: any) => string} key
 * @param {(item: any) => any} make
 * @param {(node: any, item: any) => void} update
 */
export function keyed(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((node) => [/** @type {HTMLElement} */ (node).dataset.key, node]));
  items.forEach((item, at) => {
    const name = key(item);
    let node = known.get(name);
    if (!node) { node = make(item); /** @type {HTMLElement} */ (node).dataset.key = name; }
    known.delete(name);
    if (parent.children[at] !== node) parent.insertBefore(node, parent.children[at] ?? null);
    update(node, item);
  });
  for (const node of known.values()) node.remove();
}
