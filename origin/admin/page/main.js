// The operator's page: what is on the air, what lies in the bucket, what happened. Everything it shows comes from the server's API.
import { Alarm } from "./alarm.js";
import { call } from "./api.js";
import { $, put, set } from "./dom.js";
import { Events } from "./events.js";
import { Feed } from "./feed.js";
import { Jobs } from "./jobs.js";
import { showList } from "./list.js";
import { showNodes } from "./nodes.js";
import { Recordings } from "./recordings.js";
import { Replay } from "./replay.js";
import { Stage } from "./stage.js";
import { Stores } from "./stores.js";
import { forgetToken, token } from "./token.js";

const views = ["live", "recordings", "jobs", "events"];
const alarm = new Alarm();
const events = new Events();

let settings, stage, stores, recordings, replay, feed, jobs;
let overview = null;
let detail = null;
let looked = ""; // the id of what is shown: it stays, whatever becomes of it
let searched = false;

// where is what the address names: #/live/app/stream, #/recordings, #/jobs, #/events.
function where() {
  const [, view, app, stream] = location.hash.split("/").map(decoded);
  return { view: views.includes(view) ? view : "live", chosen: app && stream ? app + "/" + stream : "" };
}

// decoded is a part of the address; one that nobody could have made here is as it is.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function show() {
  const { view, chosen } = where();
  for (const v of views) {
    $(v).hidden = v !== view;
    set($("to-" + v), "aria-current", v === view ? "page" : null);
  }
  if (view !== "recordings") replay.leave();
  if (view === "jobs") jobs.draw();
  else jobs.leave();
  if (view === "events") events.drawAll();
  if (view === "recordings" && !searched) {
    searched = true;
    recordings.search();
  }
  if (!overview) return;
  alarm.draw(overview);
  recordings.names(overview);
  $("sign-out").hidden = !token();
  showNodes(overview.nodes);
  if (view !== "live") {
    stage.leave();
    feed.watch("", "");
    return;
  }
  const listed = showList(overview, chosen, settings.publish);
  const which = looked = listed.includes(chosen) ? chosen : listed.includes(looked) ? looked : first(listed);
  if (which !== chosen) showList(overview, which, settings.publish);
  const stream = stage.choose(overview, which);
  feed.watch(stream?.app, stream?.name);
  stage.draw(overview, which, detail);
  stores.draw(overview);
  events.draw($("latest"), { limit: 6, of: which && [which, stream && stream.app + "/" + stream.name] });
}

// first is what is shown where nothing was chosen: the first that is live.
function first(listed) {
  const live = [...overview.ladders, ...overview.streams].filter((s) => s.state === "live").map((s) => s.app + "/" + s.name);
  return listed.find((i) => live.includes(i)) ?? listed[0] ?? "";
}

function take(type, value) {
  if (type === "overview") overview = value;
  else if (type === "detail") detail = value;
  else events.take(type, value);
  if (type === "overview" || type === "detail") later();
  else if (where().view === "events") later();
}

// later shows what came once, however many messages came together. A page that nobody sees waits.
let waiting = false;
function later() {
  if (waiting) return;
  waiting = true;
  const go = () => {
    waiting = false;
    show();
  };
  if (document.hidden) document.addEventListener("visibilitychange", go, { once: true });
  else requestAnimationFrame(go);
}

async function retry() {
  try {
    await call("POST", "/v1/uploads/retry");
    put($("said"), "What waits is tried now.");
  } catch (e) {
    put($("said"), e.message);
  }
}

async function start() {
  try {
    settings = await call("GET", "/api/page");
  } catch (e) {
    alarm.lost(e.message);
    setTimeout(start, 2000);
    return;
  }
  put($("version"), settings.version);
  put($("server"), settings.publish);
  feed = new Feed(take, (why, declined) => alarm.lost(why, declined));
  stage = new Stage(settings);
  stores = new Stores($("stores"), retry);
  replay = new Replay(settings);
  jobs = new Jobs();
  recordings = new Recordings(settings.origin, (r) => replay.show(r));
  $("sign-in").addEventListener("click", () => feed.watch("", ""));
  $("sign-out").addEventListener("click", () => {
    forgetToken();
    location.reload();
  });
  window.addEventListener("hashchange", show);
  feed.watch("", "");
  show();
}

start();
