// What lies in the bucket: a search by day, and what can be done with a recording.
import { at, call, query } from "./api.js";
import { copy } from "./copy.js";
import { $, el, keyed, put, set } from "./dom.js";
import { bytes, clock, date, several, span } from "./text.js";

const limit = 200;

// key tells recordings apart.
const key = (r) => r.app + "/" + r.name;

export class Recordings {
  #origin;
  #replay;
  #found = [];
  #turn = 0; // counts the searches: one that another has overtaken shows nothing
  #said = new Map(); // by key: what came of a verification

  // replay is told of the recording that is to be shown.
  constructor(origin, replay) {
    this.#origin = origin;
    this.#replay = replay;
    const today = new Date();
    $("day").value = [today.getFullYear(), today.getMonth() + 1, today.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
    $("search").addEventListener("submit", (e) => {
      e.preventDefault();
      this.search();
    });
    $("rungs-too").addEventListener("change", () => this.#show());
    for (const [button, by] of [["day-before", -1], ["day-after", 1]]) {
      $(button).addEventListener("click", () => {
        const day = new Date($("day").value + "T12:00:00");
        if (isNaN(day)) return;
        day.setDate(day.getDate() + by);
        $("day").value = [day.getFullYear(), day.getMonth() + 1, day.getDate()].map((n) => String(n).padStart(2, "0")).join("-");
        this.search();
      });
    }
  }

  // names offers the streams that are known.
  names(overview) {
    const all = [...new Set([...overview.ladders, ...overview.streams].map((s) => s.app + "/" + s.name))];
    keyed($("stream-names"), all, (n) => n, () => el("option"), (o, n) => set(o, "value", n));
  }

  // search asks for the recordings that have something from that day, by the clock of the person.
  async search() {
    const day = $("day").value, [app, stream] = $("which").value.trim().split("/");
    const from = day && new Date(day + "T00:00:00"), to = from && new Date(from);
    to && to.setDate(to.getDate() + 1);
    const turn = ++this.#turn;
    $("search-go").disabled = true;
    this.#say("Looking through the bucket …");
    let found = [], says;
    try {
      const list = await call("GET", "/v1/recordings" + query({ app, stream, from: from && from.toISOString(), to: to && to.toISOString(), limit }));
      found = list.recordings.sort((a, b) => b.start.localeCompare(a.start));
      says = list.error ? "Not all could be looked at: " + list.error : (found.length ? several(found.length, "recording") : "No recordings") +
        (list.more ? ", and more: name the stream" : "") + (day ? " of " + date(from) : "") + (found.length ? "" : day ? ". Try another day, or clear the day to see all." : ".");
    } catch (e) {
      says = e.message;
    }
    if (turn !== this.#turn) return;
    this.#found = found;
    this.#say(says);
    $("search-go").disabled = false;
    this.#show();
    for (const r of found) if (r.group.length) this.#measure(r, turn);
  }

  // measure gives a ladder what its playlist does not say and those of its rungs do, and shows it.
  async #measure(ladder, turn) {
    try {
      const rungs = this.#found.filter((r) => r.app === ladder.app && ladder.group.includes(r.name));
      if (!rungs.length) rungs.push(await call("GET", "/v1/recordings/" + at(ladder.app, ladder.group[0])));
      ladder.duration_seconds = Math.max(...rungs.map((r) => r.duration_seconds));
      ladder.ended = rungs.every((r) => r.ended);
      ladder.gaps = rungs.reduce((sum, r) => sum + r.gaps, 0);
      if (rungs.length === ladder.group.length) ladder.bytes = rungs.reduce((sum, r) => sum + r.bytes, 0);
      ladder.measured = true;
    } catch (e) {
      ladder.unknown = e.message;
    }
    if (turn === this.#turn) this.#show();
  }

  #say(text) { put($("search-says"), text); }

  #show() {
    const rungs = new Set(this.#found.flatMap((r) => r.group.map((name) => r.app + "/" + name)));
    const shown = this.#found.filter((r) => $("rungs-too").checked || !rungs.has(r.app + "/" + r.name));
    $("rungs-label").hidden = rungs.size === 0;
    keyed($("found"), shown, key, (r) => this.#make(r), (li, r) => this.#update(li, r));
  }

  // make makes what shows a recording. Its buttons are for what was found of that name last: a search brings new figures.
  #make({ app, stream }) {
    const button = (text, act) => el("button", { type: "button", onclick: (e) => act(e.target, this.#found.find((r) => key(r) === li.dataset.key)) }, text);
    const li = el("li", null,
      el("h3", null, app + "/" + stream), el("p", { class: "when" }), el("p", { class: "what" }), el("p", { class: "says", "aria-live": "polite" }),
      el("div", { class: "acts" }, button("Replay", (b, r) => this.#replay(r)), button("Copy URL", (b, r) => copy(b, this.#origin + "/" + r.playlist)), button("Verify", (b, r) => this.#verify(b, r))));
    return li;
  }

  #update(li, r) {
    const [, when, what, says, acts] = li.children;
    const end = new Date(new Date(r.start).getTime() + 1000 * r.duration_seconds);
    const measured = !r.group.length || r.measured;
    put(when, date(r.start) + ", " + clock(r.start) + (!measured ? "" : " – " + (r.ended ? clock(end) : "goes on") + " · " + span(r.duration_seconds)));
    put(what, [r.clip ? "clip" : r.group.length ? "ladder, " + several(r.group.length, "rung") : "", r.segments ? several(r.segments, "segment") : "", r.bytes ? bytes(r.bytes) : "",
      r.gaps ? several(r.gaps, "gap") : "", r.unknown ? "its rungs cannot be shown: " + r.unknown : "", r.damage ? "damaged: " + r.damage : ""].filter(Boolean).join(" · "));
    const said = this.#said.get(li.dataset.key);
    set(says, "class", "says" + (said ? said.good ? " good" : " bad" : ""));
    put(says, said?.text ?? "");
    for (const b of acts.children) b.disabled = !r.playlist || !measured && !r.unknown; // a replay needs to know how long it is
  }

  async #verify(button, r) {
    const name = key(r);
    button.disabled = true;
    this.#said.set(name, { good: true, text: "Every segment is looked at …" });
    this.#show();
    try {
      const { checked, sound, whole, lost_seconds: lost, findings } = await call("POST", "/v1/recordings/" + at(r.app, r.name) + "/verify");
      const first = findings.find((f) => !["gap", "returned", "open"].includes(f.problem));
      this.#said.set(name, {
        good: sound && whole,
        text: several(checked, "segment") + " checked: " + (sound && whole ? "every second is there." : sound ? "it is what its playlist says; " + lost.toFixed(1) + " s are lost."
          : "damaged, " + lost.toFixed(1) + " s: " + (first ? first.problem + " " + first.key + " " + first.detail : "")),
      });
    } catch (e) {
      this.#said.set(name, { good: false, text: e.message });
    }
    button.disabled = false;
    this.#show();
  }
}
