// One player: the browser's own HLS first, hls.js where there is none or where it gives up; "?player=hls.js" takes the latter at once.
import { el, put } from "./dom.js";

let script = null; // the promise of hls.js, once asked for

function load({ hls_js, integrity }) {
  return script ??= new Promise((resolve, reject) => {
    document.head.append(el("script", {
      src: hls_js, integrity: integrity || null, crossorigin: "anonymous",
      onload: () => resolve(window.Hls),
      onerror: () => {
        script = null;
        reject(new Error("hls.js did not come from " + hls_js + ". A program that is built after make web has its own"));
      },
    }));
  });
}

export class Player {
  #video;
  #notice;
  #engine;
  #settings;
  #playing = ""; // what it was started with
  #hls = null;

  // notice shows what is wrong, engine what plays.
  constructor({ video, notice, engine, settings }) {
    this.#video = video;
    this.#notice = notice;
    this.#engine = engine;
    this.#settings = settings;
  }

  // play plays a URL, unless it is played already under the same name.
  play(url, name = url) {
    if (name === this.#playing) return;
    this.stop();
    this.#playing = name;
    const video = this.#video;
    const own = video.canPlayType("application/vnd.apple.mpegurl") && new URLSearchParams(location.search).get("player") !== "hls.js";
    if (!own) {
      this.#withScript(url, name);
      return;
    }
    put(this.#engine, "played by the browser");
    video.onerror = () => { if (this.#playing === name) this.#withScript(url, name); };
    video.src = url;
    video.play().catch(() => {});
  }

  // stop stops what is played, if anything is.
  stop() {
    if (!this.#playing) return;
    this.#hls?.destroy();
    this.#hls = null;
    this.#playing = "";
    this.#video.onerror = null;
    this.#video.removeAttribute("src");
    this.#video.load();
    this.#say("");
  }

  // figures are seconds behind live and in the buffer, and pictures that were dropped; NaN where it is not known.
  figures() {
    const v = this.#video;
    const end = v.buffered.length ? v.buffered.end(v.buffered.length - 1) : v.currentTime;
    const start = v.getStartDate?.();
    const behind = this.#hls?.playingDate ? (Date.now() - this.#hls.playingDate) / 1000
      : start && !isNaN(start) ? (Date.now() - start) / 1000 - v.currentTime : NaN;
    return { behind, buffered: end - v.currentTime, dropped: v.getVideoPlaybackQuality?.().droppedVideoFrames ?? NaN };
  }

  #say(text) {
    this.#notice.hidden = !text;
    put(this.#notice, text);
  }

  async #withScript(url, name) {
    const video = this.#video;
    video.onerror = null;
    let Hls;
    try {
      Hls = await load(this.#settings);
    } catch (e) {
      if (this.#playing === name) this.#say(e.message);
      return;
    }
    if (this.#playing !== name) return;
    if (!Hls.isSupported()) {
      this.#say("This browser can play HLS in no way known to this page.");
      return;
    }
    put(this.#engine, "played by hls.js " + Hls.version);
    const hls = this.#hls = new Hls();
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play().catch(() => {}));
    hls.on(Hls.Events.FRAG_BUFFERED, () => this.#say(""));
    hls.on(Hls.Events.ERROR, (_, e) => {
      if (!e.fatal) return;
      this.#say(e.details + (e.response?.code ? " (" + e.response.code + ")" : "") + ": trying again");
      if (e.type === Hls.ErrorTypes.MEDIA_ERROR) {
        hls.recoverMediaError();
        return;
      }
      setTimeout(() => {
        if (this.#playing !== name) return;
        this.stop();
        this.play(url, name);
      }, 2000);
    });
    hls.loadSource(url);
    hls.attachMedia(video);
  }
}
