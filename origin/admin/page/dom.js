// What the page is built with. Text goes into it as text, never as markup: names come from others.

// plain is text without the signs that turn the text after it around: a name must not change what others say.
const plain = (text) => typeof text === "string" ? text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd") : text;

export const $ = (id) => document.getElementById(id);

// el makes an element. Of its attributes, on… are listeners, those that are null or false are left out, and the rest are set as written.
export function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.filter((c) => c != null).map(plain));
  return e;
}

// put sets an element's text where it is another: what is selected or read aloud is left alone otherwise.
export function put(e, text) {
  text = plain(text);
  if (e.textContent !== text) e.textContent = text;
}

// set sets or takes away an attribute where it is another.
export function set(e, name, value) {
  if (value == null || value === false) e.removeAttribute(name);
  else if (e.getAttribute(name) !== String(value)) e.setAttribute(name, value);
}

// keyed brings a parent's children in line with items: each has an element by its key, which is kept, and with it the focus.
export function keyed(parent, items, key, make, update) {
  const had = new Map([...parent.children].map((e) => [e.dataset.key, e]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const k = key(item);
    let e = had.get(k);
    if (e) had.delete(k);
    else {
      e = make(item);
      e.dataset.key = k;
    }
    if (e === at) at = at.nextElementSibling;
    else parent.insertBefore(e, at);
    update(e, item);
  }
  for (const e of had.values()) e.remove();
}
