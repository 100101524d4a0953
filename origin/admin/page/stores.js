// The buckets: what waits for each, why, and what to do.
import { el, keyed, put, set } from "./dom.js";
import { bytes, clock, roughly, several } from "./text.js";

const kept = 30; // seconds over which the speed of an upload is measured

export class Stores {
  #list = el("ul", { class: "stores" });
  #none = el("p", { class: "quiet" }, "There is no bucket. Set storage.url to keep what is recorded.");
  #sent = new Map(); // by store: [second, bytes] of the last while

  // retry tries at once what waits.
  constructor(box, retry) {
    box.append(this.#none, this.#list);
    this.retry = retry;
  }

  draw({ at, stores, warnings }) {
    const now = new Date(at) / 1000;
    this.#none.hidden = stores.length > 0;
    keyed(this.#list, stores, (s) => s.name, (s) => el("li", null, el("h4", null, s.name), el("p", { class: "state" }), el("meter", { min: 0, "aria-label": "Bytes that wait" }),
      el("p", { class: "error" }), el("p", { class: "do" }), el("button", { type: "button", onclick: () => this.retry() }, "Try now")), (li, s) => {
      const [, state, meter, error, act, again] = li.children;
      const speed = this.#speed(s, now);
      const oldest = s.oldest ? now - new Date(s.oldest) / 1000 : 0;
      set(li, "class", s.error ? "failing" : oldest > 60 ? "behind" : "well");
      put(state, !s.segments ? "has everything" : several(s.segments, "segment") + ", " + bytes(s.bytes) + " wait; the oldest for " + roughly(oldest) +
        (speed > 0 && !s.error ? " · " + bytes(speed) + "/s" : ""));
      meter.max = Math.max(meter.max, s.bytes, 1 << 20);
      if (!s.segments) meter.max = 1 << 20;
      meter.value = s.bytes;
      const w = warnings.find((w) => w.kind === "bucket" && w.subject === s.name);
      error.hidden = !s.error;
      put(error, s.error ? (s.failing ? "Since " + clock(s.failing) + ": " : "") + s.error : "");
      act.hidden = !w;
      put(act, w?.do ?? "");
      again.hidden = !s.error;
    });
  }

  // speed is bytes a second over the last while.
  #speed(s, now) {
    const all = (this.#sent.get(s.name) ?? []).filter(([t, n]) => t > now - kept && n <= s.sent_bytes);
    all.push([now, s.sent_bytes]);
    this.#sent.set(s.name, all);
    const [t, n] = all[0];
    return now > t ? (s.sent_bytes - n) / (now - t) : 0;
  }
}
