// A part of a time, chosen by dragging over a bar, or by the keys on its two ends.
import { el, put, set } from "./dom.js";
import { span } from "./text.js";

const least = 1; // seconds

export class Range {
  #from = el("div", { class: "handle", role: "slider", tabindex: "0", "aria-label": "Begin of the clip" });
  #to = el("div", { class: "handle", role: "slider", tabindex: "0", "aria-label": "End of the clip" });
  #chosen = el("div", { class: "chosen" });
  #head = el("div", { class: "playhead" });
  #bar = el("div", { class: "range-bar" }, this.#chosen, this.#head, this.#from, this.#to);
  #ends = el("p", { class: "ends" }, el("span"), el("span"));
  #length = 0;
  #a = 0;
  #b = 0;
  #changed;

  // changed is told of the two ends, seconds from the begin, when the person has chosen.
  constructor(parent, changed) {
    this.#changed = changed;
    parent.append(this.#bar, this.#ends);
    this.#bar.addEventListener("pointerdown", (e) => this.#press(e));
    for (const h of [this.#from, this.#to]) h.addEventListener("keydown", (e) => this.#key(e, h));
  }

  // reset shows a time of so many seconds; a and b are chosen.
  reset(length, a, b) {
    this.#length = length;
    this.#set(a, b);
  }

  // playhead shows how far a player is, seconds from the begin; NaN: nowhere.
  playhead(s) {
    const there = s >= 0 && s <= this.#length;
    this.#head.hidden = !there;
    if (there) this.#head.style.left = 100 * s / this.#length + "%";
  }

  #set(a, b) {
    const whole = (s) => Math.round(Math.max(0, Math.min(s, this.#length)) * 10) / 10;
    [a, b] = [whole(a), whole(b)];
    this.#a = Math.min(a, Math.max(0, this.#length - least));
    this.#b = Math.max(b, Math.min(this.#length, this.#a + least));
    const share = (s) => (this.#length ? 100 * s / this.#length : 0) + "%";
    this.#from.style.left = this.#chosen.style.left = share(this.#a);
    this.#to.style.left = share(this.#b);
    this.#chosen.style.width = share(this.#b - this.#a);
    for (const [h, v] of [[this.#from, this.#a], [this.#to, this.#b]]) {
      set(h, "aria-valuemin", "0");
      set(h, "aria-valuemax", String(this.#length));
      set(h, "aria-valuenow", String(v));
      set(h, "aria-valuetext", span(v) + " of " + span(this.#length));
    }
    put(this.#ends.children[0], "0:00:00");
    put(this.#ends.children[1], span(this.#length));
    this.#changed(this.#a, this.#b);
  }

  #second(e) {
    const box = this.#bar.getBoundingClientRect();
    return (e.clientX - box.left) / box.width * this.#length;
  }

  // press moves the end that was taken hold of; elsewhere on the bar a new part begins.
  #press(e) {
    if (e.button > 0) return;
    e.preventDefault();
    this.#bar.setPointerCapture(e.pointerId);
    const other = e.target === this.#from ? this.#b : e.target === this.#to ? this.#a : this.#second(e);
    const move = (e) => {
      const at = this.#second(e);
      this.#set(Math.min(at, other), Math.max(at, other));
    };
    const stop = () => {
      this.#bar.removeEventListener("pointermove", move);
      this.#bar.removeEventListener("pointerup", stop);
      this.#bar.removeEventListener("pointercancel", stop);
    };
    (e.target === this.#from ? this.#from : this.#to).focus();
    this.#bar.addEventListener("pointermove", move);
    this.#bar.addEventListener("pointerup", stop);
    this.#bar.addEventListener("pointercancel", stop);
  }

  #key(e, handle) {
    const far = e.shiftKey ? 10 : 1;
    const by = { ArrowLeft: -far, ArrowDown: -far, ArrowRight: far, ArrowUp: far, PageDown: -60, PageUp: 60, Home: -Infinity, End: Infinity }[e.key];
    if (by === undefined) return;
    e.preventDefault();
    if (handle === this.#from) this.#set(Math.min(this.#a + by, this.#b - least), this.#b);
    else this.#set(this.#a, Math.max(this.#b + by, this.#a + least));
  }
}
