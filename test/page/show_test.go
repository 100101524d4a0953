package page

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/storetest"
	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestShow looks at a show as an operator does: three rungs live, a rung that is lost, a bucket that is away and comes back, then the
// recording, its verification, and a clip of it.
func TestShow(t *testing.T) {
	rig.Need(t, "ffmpeg")
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), "hls: {segment_duration: 1s, window: 10s, end_grace: 1s, reconnect_grace: 60s}\nrtsp: {listen: \"\"}\n"+
		"apps: {live: {groups: {show: [show_high, show_middle, show_low]}}}\nadmin: {hls_js: {url: \""+serveScript(t)+"\", integrity: \"\"}}\n"+v.YAML())
	b := browser.Start(t, "hls.js")
	page := open(t, b, p.Admin, "", desktop)
	page.until("the page says that nothing is on the air", `!document.getElementById("empty").hidden`)

	// One encoder, so that the rungs' time stamps belong together however busy the machine is.
	args := []string{"-v", "warning"}
	for i := range 3 {
		args = append(args, "-re", "-stream_loop", "-1", "-i", rig.CountedClip(t, 640>>i, 360>>i, 8*time.Second))
	}
	for i, name := range []string{"high", "middle", "low"} {
		args = append(args, "-map", fmt.Sprint(i), "-c", "copy", "-f", "flv", "rtmp://"+p.RTMP+"/live/show_"+name)
	}
	encoder := rig.Launch(t, "ffmpeg", args...)
	camera := rig.Shoot(t, p, "door")
	page.until("the ladder is listed", `document.querySelector("#streams [data-key='live/show'] button")`)
	page.click("#streams [data-key='live/show'] button")
	page.until("the ladder has its rungs, and plays", `document.querySelectorAll("#rungs tr.in").length === 3 && document.getElementById("video").currentTime > 1`)
	page.until("figures and segments are shown", `document.querySelectorAll("#strip .stored.listed").length > 2 && document.querySelectorAll(".plot .line[d^=M]").length === 5`)
	page.until("it is shown what happened", `document.getElementById("latest").textContent.includes("is on the air")`)
	page.until("the keyframe interval is two seconds", `document.getElementById("plots").textContent.includes("2.0 s")`)
	page.shot("live", desktop, dark(desktop), phone, dark(phone))

	// The show stalls, and goes on.
	if err := encoder.Cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	page.until("the show stalls", `document.getElementById("state").textContent === "stalled" && document.getElementById("alarm-list").textContent.includes("sends nothing")`)
	page.click("#alarm-toggle")
	page.shot("stall", desktop, dark(phone))
	page.click("#alarm-toggle")
	if err := encoder.Cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	page.until("the show goes on", `document.getElementById("state").textContent === "live"`)

	// The bucket is away, and comes back.
	v.Proxy.Set(storetest.Trouble{Status: http.StatusForbidden})
	page.until("the bucket's trouble is shown, and what waits for it", `document.getElementById("alarm").className === "bad" && document.querySelector("#stores .failing .do") && document.querySelectorAll("#strip li.listed:not(.stored)").length > 1`)
	page.click("#alarm-toggle")
	page.shot("outage", desktop, dark(desktop), phone)
	page.click("#alarm-toggle")
	v.Proxy.Set()
	page.click("#stores button")
	page.until("the backlog drains", `!document.querySelector("#stores .failing")`)
	page.shot("drain", desktop)
	page.until("the bucket has it all", `document.querySelector("#stores .well")`)
	page.shot("drained", desktop)

	// What has ended is a recording.
	camera.Stop()
	page.until("a stream has ended", `document.getElementById("streams").textContent.includes("ended")`)
	recording := p.Streams()["door"].Recording
	v.WaitFinished("door", recording, patience)
	page.click("#to-recordings")
	page.until("the recordings are found", `document.querySelector("[data-key^='live/door-']") && document.querySelector("[data-key^='live/show-']")`)
	page.click("[data-key^='live/door-'] .acts button:nth-child(3)")
	page.until("the recording is verified", `document.querySelector("[data-key^='live/door-'] .says.good")?.textContent.includes("every second is there")`)
	page.click("[data-key^='live/door-'] .acts button")
	page.until("the recording plays", `document.getElementById("replay-video").currentTime > 0.5`)
	page.shot("replay", desktop, dark(phone))
	page.clip(p)
	page.click("#to-events")
	page.until("the events are listed", `document.querySelectorAll("#events-list li").length > 4`)
	page.shot("events", dark(desktop), phone)
	page.good()
}

// clip drags a clip over the recording that is shown, and looks whether viewers get it.
func (page *tab) clip(p *rig.Process) {
	page.t.Helper()
	box := is[struct{ X, Y, W float64 }](page, `(({x, y, width, height}) => ({x, y: y + height / 2, w: width}))((document.querySelector(".range-bar").scrollIntoView(), document.querySelector(".range-bar").getBoundingClientRect()))`)
	before := is[string](page, `document.getElementById("clip-length").textContent`)
	page.must(page.page.Drag([2]float64{box.X + box.W*0.3, box.Y}, [2]float64{box.X + box.W*0.5, box.Y}, [2]float64{box.X + box.W*0.6, box.Y}))
	if after := is[string](page, `document.getElementById("clip-length").textContent`); after == before {
		page.t.Errorf("dragging changes nothing: %s", after)
	}
	page.must(page.page.Eval(`document.getElementById("clip-name").value = "goal"`, nil))
	page.click("#clip-make")
	page.until("the clip is made", `!document.getElementById("clip-result").hidden`)
	page.click("#clip-play")
	page.until("the clip plays", `document.getElementById("replay-video").currentTime > 0.3`)
	page.shot("clip", desktop, phone)
	url := is[string](page, `document.getElementById("clip-url").value`)
	if body := p.Get(url); !strings.Contains(url, "/goal-") || !strings.Contains(body, "#EXT-X-ENDLIST") {
		page.t.Errorf("%s is %s", url, body)
	}
	page.t.Log(fmt.Sprint(is[string](page, `document.getElementById("clip-says").textContent`)))
}
