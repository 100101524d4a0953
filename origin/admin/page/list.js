// The list of what is on the air: each ladder with its rungs below it, then the other streams.
import { at } from "./api.js";
import { $, el, keyed, put, set } from "./dom.js";
import { clock, picture, rate } from "./text.js";

export const id = (s) => s.app + "/" + s.name;

// rows are ladders and streams as they are listed.
function rows(overview) {
  const streams = new Map(overview.streams.map((s) => [id(s), s]));
  const out = [];
  for (const l of overview.ladders) {
    out.push({ id: id(l), stream: l, ladder: true });
    const rungs = (l.rungs ?? []).map((r) => [streams.get(l.app + "/" + r.stream), r]);
    const audio = overview.streams.filter((s) => s.app === l.app && s.ladder === l.name).map((s) => [s]); // what the server makes of a rung
    for (const [s, rung] of [...rungs, ...audio]) {
      if (s && streams.delete(id(s))) out.push({ id: id(s), stream: s, rung, under: true });
    }
  }
  return out.concat([...streams.values()].map((s) => ({ id: id(s), stream: s })));
}

function make(row) {
  const part = (name) => el("span", { class: name });
  return el("li", null, el("button", { type: "button", onclick: () => { location.hash = "#/live/" + at(row.stream.app, row.stream.name); } },
    part("dot"), part("name"), part("rate"), part("what"), part("problem")));
}

function update(li, { id: key, stream: s, ladder, rung, under }, chosen) {
  const b = li.firstElementChild;
  const [dot, name, right, what, problem] = b.children;
  set(li, "class", under ? "rung" : ladder ? "ladder" : null);
  set(b, "aria-current", key === chosen ? "true" : "false");
  dot.className = "dot " + s.state;
  put(name, key);
  put(right, ladder ? "ladder" : rate(s.state === "live" ? s.input.bitrate || s.bitrate : s.bitrate));
  put(what, (s.standby ? "stands by for " + (s.standby.node || "another server") + ", " + s.standby.state + (s.standby.silent_since ? " since " + clock(s.standby.silent_since) : "") : s.state) + (ladder ? " · " + (s.rungs ?? []).filter((r) => r.state === "in").length + " of " + (s.rungs ?? []).length + " rungs"
    : " · " + picture(s) + (s.protocol ? " · " + s.protocol : "")));
  const why = rung?.outside ? "outside the ladder: " + rung.outside : s.problem || "";
  put(problem, why);
  problem.hidden = !why;
}

// showList shows an overview; it returns the ids that are listed.
export function showList(overview, chosen, publish) {
  const all = rows(overview);
  keyed($("streams"), all, (r) => r.id, make, (li, r) => update(li, r, chosen));
  $("empty").hidden = all.length > 0 || !publish;
  const live = overview.streams.filter((s) => s.state === "live").length;
  put($("count"), all.length ? live + " live of " + overview.streams.length : "");
  return all.map((r) => r.id);
}
