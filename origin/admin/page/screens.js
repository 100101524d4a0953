// The players of what is looked at: plain, with low latency, or both beside each other with how far behind live each of them is.
import { Clock } from "./clock.js";
import { $, put, set } from "./dom.js";
import { Player } from "./player.js";
import { seconds } from "./text.js";

const modes = ["plain", "low", "both"];

export class Screens {
  #settings;
  #clock;
  #players;
  #chosen = ""; // the mode that a person wants
  #mode = "plain";
  #shown = null; // the stream or ladder

  constructor(settings) {
    this.#settings = settings;
    this.#clock = new Clock(settings.demo?.round ?? 1);
    const player = (suffix, low) => new Player({
      video: $("video" + suffix), notice: $("notice" + suffix), engine: $("engine" + suffix), start: $("start" + suffix), settings, low,
    });
    this.#players = { plain: player("", false), low: player("-low", true) };
    for (const mode of modes) $("mode-" + mode).addEventListener("click", () => {
      this.#chosen = mode;
      if (this.#shown) this.draw(this.#shown);
    });
    for (const suffix of ["", "-low"]) $("start" + suffix).addEventListener("click", () => this.#each((p) => p.start()));
    setInterval(() => this.#figures(), 500);
  }

  // draw plays a stream or ladder. Without low latency there is nothing to choose.
  draw(s) {
    this.#shown = s;
    const low = s.play_low_latency ?? "";
    this.#mode = !low ? "plain" : this.#chosen || (this.#isDemo() ? "both" : "plain");
    $("modes").hidden = !low;
    for (const mode of modes) set($("mode-" + mode), "aria-pressed", String(mode === this.#mode));
    $("stage").classList.toggle("both", this.#mode === "both");
    for (const [which, path] of [["plain", s.play], ["low", low]]) {
      const on = this.#mode === which || this.#mode === "both", player = this.#players[which];
      $("screen-" + which).hidden = !on;
      $("behind-" + which).hidden = !low;
      if (!on) player.stop();
      else if (s.state !== "starting") player.play(this.#settings.origin + "/" + path, s.app + "/" + s.name + " " + s.recording + " " + (this.#mode === "both"), this.#mode === "both");
    }
    for (const e of ["encoder", "seen-plain", "seen-low"]) $(e).hidden = !low || !this.#isDemo();
    this.#figures();
  }

  // stop stops what is played.
  stop() {
    this.#shown = null;
    this.#each((p) => p.stop());
  }

  // figures are those of the player that is looked at, of two the one with low latency.
  figures() { return this.#players[this.#mode === "plain" ? "plain" : "low"].figures(); }

  #each(act) { Object.values(this.#players).forEach(act); }

  #isDemo() {
    const d = this.#settings.demo, s = this.#shown;
    return !!d && d.app === s.app && d.stream === s.name;
  }

  #figures() {
    const s = this.#shown;
    if (!s?.play_low_latency) return;
    const demo = this.#isDemo() && s.state === "live";
    for (const [which, player] of Object.entries(this.#players)) {
      if ($("screen-" + which).hidden) continue;
      const { behind } = player.figures();
      const seen = demo ? this.#clock.behind(player.video, s.started) : NaN;
      put($("seconds-" + which), s.state === "live" ? seconds(behind) : "–");
      put($("seen-" + which), isFinite(seen) ? "by the clock in the picture " + seconds(seen) : "");
    }
    if (demo) this.#tick();
  }

  // tick shows what the clock in the picture says at the encoder, for as long as it is seen.
  #ticks = false;
  #tick() {
    if (this.#ticks) return;
    this.#ticks = true;
    const go = () => {
      this.#ticks = !!this.#shown && !$("encoder").hidden && this.#shown.state === "live";
      if (!this.#ticks) return;
      put($("encoder-clock"), this.#clock.face(this.#clock.now(this.#shown.started)));
      requestAnimationFrame(go);
    };
    go();
  }
}
