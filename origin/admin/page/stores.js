// The buckets: what waits for each, why, and what to do.
import { el, keyed, put, set } from "./dom.js";
import { bytes, clock, roughly, several } from "./text.js";

const kept = 30; // seconds over which the speed of an upload is measured

export class Stores {
  #list = el("ul", { class: "stores" });
  #none = el("p", { class: "quiet" }, "There is no bucket. Set storage.url to keep what is recorded.");
  #most = new Map(); // by store: the most bytes that have waited
  #sent = new Map(); // by store: [second, bytes] of the last while

  // retry tries at once what waits.
  constructor(box, retry) {
    box.append(this.#none, this.#list);
    this.retry = retry;
  }

  draw({ at, stores, warnings }) {
    const now = new Date(at) / 1000;
    this.#none.hidden = stores.length > 0;
    keyed(this.#list, stores, (s) => s.name, (s) => el("li", null, el("h4", null, s.name), el("p", { class: "state" }), el("div", { class: "bar", role: "meter", "aria-label": "Bytes that wait", "aria-valuemin": 0 }, el("i")),
      el("p", { class: "do" }), el("button", { type: "button", onclick: () => this.retry() }, "Try now"), el("p", { class: "error" })), (li, s) => {
      const [, state, bar, act, again, error] = li.children;
      const speed = this.#speed(s, now);
      const oldest = s.oldest ? now - new Date(s.oldest) / 1000 : 0;
      set(li, "class", s.error ? "failing" : oldest > 10 ? "behind" : "well");
      put(state, !s.segments ? "has everything" : several(s.segments, "segment") + ", " + bytes(s.bytes) + " wait; the oldest for " + roughly(oldest) +
        (speed > 0 && !s.error ? " · " + bytes(speed) + "/s" : ""));
      const most = Math.max(s.segments ? this.#most.get(s.name) ?? 0 : 0, s.bytes, 1 << 20); // since it had everything
      this.#most.set(s.name, most);
      set(bar, "aria-valuemax", most);
      set(bar, "aria-valuenow", s.bytes);
      bar.firstChild.style.width = 100 * s.bytes / most + "%";
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
