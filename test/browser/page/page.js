// Plays ?src with ?player (hls.js, shaka, dash.js, video.js) at the player's default settings, but for ?close, and keeps the record of what a
// person before the screen would have seen: `seen` is what the tests read, `to(level)` switches by the player's own API.
// Without ?src the player is loaded and plays what `go(src)` is told.
//
// Time stands still: a stall. With nothing buffered in front of it, it is a stall that the server (or its network) made;
// with enough buffered, the machine was too slow to show pictures.
"use strict";

const query = new URLSearchParams(location.search);
const close = query.has("close"); // to live, as a site sets its player that wants low latency
const video = document.getElementById("video");
const seen = {
  player: query.get("player"), version: "", started: false, time: 0, ahead: 0, played: 0, ended: false, width: 0,
  frames: 0,     // pictures decoded
  sound: 0,      // bytes of sound decoded
  stalls: [],    // {at, ms, ahead}: media time, how long, what was buffered in front when it began
  freezes: [],   // {at, ms}: time went by and the picture stood still
  silences: [],  // {at, ms}: the same of sound
  holes: [],     // {from, to}: not buffered when the position came there, though what follows was
  jumps: [],     // {from, to}: the position moved by itself, further than time went by
  fatal: [], errors: {},
  fragments: [], // {sn, cc, level, date, url} as they came to be played
  widths: [],    // {at, width} of the picture, at each change
  counter: { first: -1, last: -1, back: [] }, // the number in the picture, see counter()
};
window.seen = seen;
window.to = () => { throw new Error("the player is not there yet"); };

const script = (src) => new Promise((resolve, reject) => {
  const e = document.createElement("script");
  e.src = src;
  e.onload = resolve;
  e.onerror = () => reject(new Error(src));
  document.head.append(e);
});
// A fault is counted by its name; the first of each is said to the console with all that the player knows of it.
const fault = (what, fatal, more) => {
  seen.errors[what] = (seen.errors[what] ?? 0) + 1;
  if (fatal && !seen.fatal.includes(what)) seen.fatal.push(what);
  if (seen.errors[what] === 1) console.log(seen.player + ": " + (fatal ? "fatal: " : "") + what + ": " + more);
};
const shakaFault = (e) => fault("shaka " + (e?.code ?? e?.name ?? e), e?.severity === 2, [e?.message, e?.data?.filter?.((x) => typeof x !== "object"), e?.code ? "" : e?.stack].join(" "));

const address = new Promise((resolve) => {
  window.go = resolve;
  if (query.has("src")) resolve(query.get("src"));
});

const players = {
  async "hls.js"() {
    await script("/modules/hls.js/dist/hls.js");
    const src = await address;
    seen.version = Hls.version;
    const hls = window.hls = new Hls(close ? { maxLiveSyncPlaybackRate: 1.1 } : {});
    if (close) hls.config.liveMaxLatencyDurationCount = 1.5; // given to the constructor it wants a liveSyncDurationCount, which would count instead of PART-HOLD-BACK
    hls.on(Hls.Events.ERROR, (_, e) => {
      fault(e.details + (e.response?.code ? " " + e.response.code : ""), e.fatal, [e.error?.message, e.reason, e.sourceBufferName, e.frag?.url].join(" "));
    });
    hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => {
      seen.fragments.push({ sn: frag.sn, cc: frag.cc, level: frag.level, date: frag.programDateTime ?? 0, url: frag.url });
    });
    hls.loadSource(src);
    hls.attachMedia(video);
    // Levels are sorted by bit rate, the lowest first; -1 is the player's own choice.
    window.to = (n) => { hls.nextLevel = n; return hls.levels.length; };
  },
  async shaka() {
    await script("/modules/shaka-player/dist/shaka-player.compiled.js");
    const src = await address;
    seen.version = shaka.Player.version;
    shaka.polyfill.installAll();
    const player = window.player = new shaka.Player();
    // Without sequenceMode an error in the last bit of a sum of durations is taken for another offset, and the video buffer waits for a keyframe.
    if (close) player.configure({ manifest: { defaultPresentationDelay: 1, hls: { sequenceMode: true } }, streaming: { liveSync: { enabled: true, targetLatency: 0.1, targetLatencyTolerance: 0.1 } } });
    await player.attach(video);
    player.addEventListener("error", ({ detail }) => shakaFault(detail));
    await player.load(src).catch(shakaFault);
    window.to = (n) => {
      player.configure({ abr: { enabled: n < 0 } });
      const tracks = player.getVariantTracks().sort((a, b) => a.bandwidth - b.bandwidth);
      if (n >= 0) player.selectVariantTrack(tracks[n], true, 2);
      return tracks.length;
    };
  },
  async "dash.js"() {
    await script("/modules/dashjs/dist/modern/umd/dash.all.min.js");
    const src = await address;
    const player = window.player = dashjs.MediaPlayer().create();
    seen.version = player.getVersion();
    player.on("error", ({ error }) => fault("dash.js " + (error?.code ?? error), true, error?.message));
    player.initialize(video, src, true);
  },
  async "video.js"() {
    await script("/modules/video.js/dist/video.js");
    const src = await address;
    seen.version = videojs.VERSION;
    const player = window.player = videojs(video, { html5: { vhs: { overrideNative: true } }, liveui: false });
    player.on("error", () => fault("video.js " + player.error()?.code + " " + player.error()?.message, true, ""));
    player.src({ src, type: "application/vnd.apple.mpegurl" });
    window.to = (n) => {
      const list = player.tech({ IWillNotUseThisInPlugins: true }).vhs.representations().sort((a, b) => a.bandwidth - b.bandwidth);
      list.forEach((r, i) => r.enabled(n < 0 || i === n));
      return list.length;
    };
  },
};

// The clips of the tests carry their frame number in the top row: 16 squares, black or white, the lowest bit first.
const canvas = document.createElement("canvas");
canvas.width = 16;
canvas.height = 1;
const pen = canvas.getContext("2d", { willReadFrequently: true });
function counter() {
  const side = video.videoWidth / 16;
  pen.drawImage(video, 0, side / 4, video.videoWidth, side / 2, 0, 0, 16, 1);
  const row = pen.getImageData(0, 0, 16, 1).data;
  let n = 0;
  for (let i = 0; i < 16; i++) if (row[4 * i] > 127) n |= 1 << i;
  return n;
}
function picture() {
  if (query.has("counter") && video.videoWidth) {
    const n = counter(), c = seen.counter;
    if (c.first < 0) c.first = n;
    if (n < c.last) c.back.push({ from: c.last, to: n, at: video.currentTime });
    c.last = n;
  }
  video.requestVideoFrameCallback(picture);
}

// Notes each time of a second or more in which the position moved and something else did not.
function note(list) {
  let last = -1, since = 0, open = null;
  return (value, now, time, moves) => {
    if (value === last && moves) {
      open ??= list[list.push({ at: time, ms: 0 }) - 1];
      open.ms = now - since;
      return;
    }
    if (open && open.ms < 1000) list.splice(list.indexOf(open), 1);
    [last, since, open] = [value, now, null];
  };
}
const noteFreeze = note(seen.freezes), noteSilence = note(seen.silences);

let still = null, before = { time: 0, at: 0 };
function look() {
  const now = performance.now(), time = video.currentTime, b = video.buffered;
  let ahead = 0;
  for (let i = 0; i < b.length; i++) {
    if (b.start(i) <= time + 0.1 && time <= b.end(i)) ahead = b.end(i) - time;
    // Players that switch take out what is in front and fill it again: a hole counts when the position is about to reach it.
    if (seen.started && i > 0 && b.start(i) > time && b.end(i - 1) - time < 0.3 && b.start(i) - b.end(i - 1) > 0.1) hole(b.end(i - 1), b.start(i));
  }
  // It has started when time goes by; a seek to the live edge is none of that.
  if (!seen.started) seen.started = !video.paused && !video.seeking && time > before.time && time - before.time < 0.5;
  else if (time !== before.time && Math.abs(time - before.time) > (now - before.at) / 1000 * 1.2 + 0.5) seen.jumps.push({ from: before.time, to: time });
  else if (time > before.time) seen.played += time - before.time;
  if (seen.started && time === before.time && !video.ended) {
    still ??= { at: time, since: before.at, ms: 0, ahead };
    still.ms = now - still.since;
    if (still.ms >= 400 && !seen.stalls.includes(still)) seen.stalls.push(still); // else two looks between two pictures
  } else {
    still = null;
  }
  const frames = video.getVideoPlaybackQuality().totalVideoFrames, sound = video.webkitAudioDecodedByteCount ?? 0;
  const moves = seen.started && !still && !video.ended;
  noteFreeze(frames, now, time, moves);
  noteSilence(sound, now, time, moves);
  if (video.videoWidth !== seen.width) seen.widths.push({ at: time, width: seen.width = video.videoWidth });
  Object.assign(seen, { time, ahead, ended: video.ended, frames, sound });
  before = { time, at: now };
  document.getElementById("what").textContent = seen.player + " " + seen.version + "  " + time.toFixed(1) + " s, " + ahead.toFixed(1) + " s ahead";
}
function hole(from, to) {
  if (!seen.holes.some((h) => Math.abs(h.to - to) < 0.2)) seen.holes.push({ from, to });
}

setInterval(look, 100);
video.requestVideoFrameCallback(picture);
Promise.resolve().then(() => players[seen.player]()).catch((e) => fault(String(e), true, ""));
