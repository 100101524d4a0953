// The newest segments of a stream, and where the bytes of each are: a column for a segment, a row for each place. What the bucket
// lacks is seen at the right, where the columns do not reach down.
import { el, keyed, put, set } from "./dom.js";
import { bytes, clock, seconds, several } from "./text.js";

const least = 30; // columns

const places = [["memory", "In memory"], ["spool", "In the spool on disk"], ["stored", "In the bucket"]];

export class Strip {
  #list = el("ol", { class: "segments", role: "listbox", tabindex: "0", "aria-label": "Segments, oldest first: arrow keys tell of each" });
  #about = el("p", { class: "about", "aria-live": "polite" });
  #lag = el("p", { class: "lag" });
  #chosen = null; // the sequence that is told of; null: the newest
  #segments = [];

  constructor(parent) {
    const labels = el("ul", { class: "places", "aria-hidden": "true" }, ...["memory", "spool", "bucket", "live"].map((p) => el("li", { class: p }, p)));
    parent.append(this.#lag, el("div", { class: "strip" }, labels, this.#list), this.#about);
    this.#list.addEventListener("pointerover", (e) => this.#choose(e.target.closest("li")?.dataset.sequence));
    this.#list.addEventListener("pointerleave", () => this.#choose(null));
    this.#list.addEventListener("keydown", (e) => this.#key(e));
    this.#list.addEventListener("blur", () => this.#choose(null));
  }

  // draw shows a detail; null: there is none. stores says whether there is a bucket. A column stays where it is, and the segments
  // pass through: nothing on the page moves.
  draw(detail, stores) {
    this.#segments = detail?.segments ?? [];
    const slots = Math.max(least, 10 * Math.ceil(this.#segments.length / 10));
    const columns = Array.from({ length: slots }, (_, i) => ({ at: slots - i, s: this.#segments[i - slots + this.#segments.length] }));
    keyed(this.#list, columns, (c) => String(c.at), () => el("li", null, el("i"), el("i"), el("i"), el("i")), (li, { s }) => {
      set(li, "class", s ? ["listed", "memory", "spool", "sending", "stored", "lost", "discontinuity", "keyless"].filter((c) => s[c]).join(" ") : "none");
      set(li, "role", s ? "option" : "presentation");
      set(li, "id", s && "segment-" + s.sequence);
      set(li, "data-sequence", s && s.sequence);
      set(li, "aria-label", s && this.#words(s));
    });
    put(this.#lag, detail ? lag(detail, stores) : "No segments yet.");
    this.#tell();
  }

  #choose(sequence) {
    this.#chosen = sequence ?? null;
    this.#tell();
  }

  #tell() {
    const s = this.#segments.find((s) => String(s.sequence) === this.#chosen);
    for (const li of this.#list.children) set(li, "aria-selected", li.dataset.sequence && String(li.dataset.sequence === this.#chosen));
    set(this.#list, "aria-activedescendant", s ? "segment-" + s.sequence : null);
    put(this.#about, s ? this.#words(s) : "Each column is a segment, the newest at the right.");
  }

  #words(s) {
    const where = places.filter(([p]) => s[p]).map(([, words]) => words.toLowerCase());
    if (s.sending) where.push("on its way to the bucket");
    return "Segment " + s.sequence + ", " + clock(s.start) + ", " + seconds(s.duration) + ", " + bytes(s.bytes) + ": " +
      (s.lost ? "lost" : where.join(", ") || "nowhere") + (s.discontinuity ? "; a discontinuity stands before it" : "") +
      (s.keyless ? "; it does not begin with a keyframe" : "") + (s.listed ? "" : "; not in the live playlist any more");
  }

  #key(e) {
    const all = this.#segments.map((s) => String(s.sequence));
    const at = this.#chosen === null ? all.length : all.indexOf(this.#chosen);
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 }[e.key];
    if (to === undefined || !all.length) return;
    e.preventDefault();
    this.#choose(all[Math.max(0, Math.min(to, all.length - 1))]);
  }
}

// lag says in words how far the bucket is behind.
function lag(detail, stores) {
  if (!stores) return "There is no bucket: what leaves the spool is gone.";
  const waiting = detail.segments.filter((s) => !s.stored && !s.lost);
  const n = waiting.length + detail.earlier.unsent;
  if (!n) return "All of it is in the bucket.";
  const all = waiting.reduce((sum, s) => sum + s.bytes, detail.earlier.bytes);
  const far = waiting.reduce((sum, s) => sum + s.duration, 0);
  return several(n, "segment") + ", " + bytes(all) + ", not in the bucket yet" + (detail.earlier.unsent ? "." : ": it is " + seconds(far) + " behind.");
}
