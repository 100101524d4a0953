// The list of what is on the air: each ladder with its rungs below it, then the other streams.
import { at } from "./api.js";
import { $, el, keyed, put, set } from "./dom.js";
import { picture, rate } from "./text.js";

export const id = (s) => s.app + "/" + s.name;

// rows are ladders and streams as they are listed.
function rows(overview) {
  const streams = new Map(overview.streams.map((s) => [id(s), s]));
  const out = [];
  for (const l of overview.ladders) {
    out.push({ id: id(l), stream: l, ladder: true });
    for (const r of l.rungs) {
      const s = streams.get(l.app + "/" + r.stream);
      if (!s) continue;
      streams.delete(id(s));
      out.push({ id: id(s), stream: s, rung: r });
    }
  }
  const under = new Set(out.map((r) => r.id));
  return out.concat(overview.streams.filter((s) => !under.has(id(s))).map((s) => ({ id: id(s), stream: s })));
}

function make(row) {
  const part = (name) => el("span", { class: name });
  return el("li", null, el("button", { type: "button", onclick: () => { location.hash = "#/live/" + at(row.stream.app, row.stream.name); } },
    part("dot"), part("name"), part("rate"), part("what"), part("problem")));
}

function update(li, { id: key, stream: s, ladder, rung }, chosen) {
  const b = li.firstElementChild;
  const [dot, name, right, what, problem] = b.children;
  set(li, "class", rung ? "rung" : ladder ? "ladder" : null);
  set(b, "aria-current", key === chosen ? "true" : "false");
  dot.className = "dot " + s.state;
  put(name, key);
  put(right, ladder ? "ladder" : rate(s.state === "live" ? s.input.bitrate || s.bitrate : s.bitrate));
  put(what, s.state + (ladder ? " · " + s.rungs.filter((r) => r.in).length + " of " + s.rungs.length + " rungs"
    : " · " + picture(s) + (s.protocol ? " · " + s.protocol : "")));
  const why = rung?.why ? "outside the ladder: " + rung.why : s.problem || "";
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
