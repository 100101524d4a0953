// A ladder's rungs: how each is, and why one is outside.
import { at } from "./api.js";
import { el, keyed, put, set } from "./dom.js";
import { picture, rate, seconds } from "./text.js";

const states = {
  in: "in the ladder",
  away: "away: its segments come too late, or not at all; the others go on",
  waiting: "nothing of it is complete yet",
};

export class Ladder {
  #rows = el("tbody");
  #box;

  constructor(box) {
    this.#box = box;
    box.append(el("table", null,
      el("thead", null, el("tr", null, ...["Rung", "State", "Picture", "Bit rate", "Keyframes"].map((h) => el("th", { scope: "col" }, h)))), this.#rows));
  }

  // draw shows a ladder with the streams of its rungs; null hides it.
  draw(ladder, streams) {
    this.#box.hidden = !ladder;
    if (!ladder) return;
    keyed(this.#rows, ladder.rungs ?? [], (r) => r.stream, (r) => el("tr", null,
      el("th", { scope: "row" }, el("a", { href: "#/live/" + at(ladder.app, r.stream) }, r.stream)), el("td"), el("td"), el("td"), el("td")), (tr, r) => {
      const s = streams.find((s) => s.app === ladder.app && s.name === r.stream);
      const [, state, what, bits, keys] = tr.children;
      set(tr, "class", r.state === "in" ? "in" : "out");
      put(state, r.absent || (states[r.state] ?? "outside: " + r.outside));
      put(what, s ? picture(s) : "–");
      put(bits, s ? rate(s.input.bitrate || s.bitrate) : "–");
      put(keys, s?.input.keyframe_interval ? seconds(s.input.keyframe_interval) : "–");
    });
  }
}
