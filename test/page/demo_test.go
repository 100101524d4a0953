package page

import (
	"math"
	"os"
	"testing"

	"github.com/hlsorigin/hlsorigin/test/browser"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// demo starts `hlsorigin -demo` with the hls.js that tests play with.
func demo(t *testing.T, hlsJS string) *rig.Process {
	t.Helper()
	p := &rig.Process{T: t, Dir: t.TempDir(), Args: []string{"-demo"}, HTTP: rig.FreeAddress(t), Admin: rig.FreeAddress(t), RTMP: rig.FreeAddress(t)}
	p.Env = append(os.Environ(), "HLSORIGIN_HTTP_LISTEN="+p.HTTP, "HLSORIGIN_ADMIN_LISTEN="+p.Admin, "HLSORIGIN_RTMP_LISTEN="+p.RTMP,
		"HLSORIGIN_RTSP_LISTEN=", "HLSORIGIN_ADMIN_HLS_JS_URL="+hlsJS, "HLSORIGIN_ADMIN_HLS_JS_INTEGRITY=")
	p.Start()
	t.Cleanup(p.Kill)
	return p
}

// refusing is a browser that plays nothing before somebody has pressed something.
const refusing = watched + `
HTMLMediaElement.prototype.play = ((f) => function () {
  return window.pressed ? f.call(this) : Promise.reject(new DOMException("a press is wanted", "NotAllowedError"));
})(HTMLMediaElement.prototype.play);
addEventListener("pointerdown", () => { window.pressed = true; }, true);
`

// aged is what the page says of how far behind a player is, in seconds: by time stamps, and by the clock in the picture.
const aged = `["low", "plain"].map((w) => [parseFloat(document.getElementById("seconds-" + w).textContent), parseFloat((document.getElementById("seen-" + w).textContent.match(/-?[\d.]+ s$/) ?? [NaN])[0])])`

// TestDemoSideBySide watches the demo as a newcomer does, plain and with low latency beside each other, in a browser that wants a
// press before it plays: what the page says of their delay is what the clock in their pictures shows, and low latency is closer.
func TestDemoSideBySide(t *testing.T) {
	t.Parallel()
	b := browser.Start(t, "hls.js")
	p := demo(t, serveScript(t))
	tab := openWith(t, b, p.Admin, refusing)
	tab.until("it is shown side by side, and can be started", `document.getElementById("mode-both").ariaPressed === "true" && !document.getElementById("start").hidden && !document.getElementById("start-low").hidden`)
	tab.shot("demo-start", desktop, dark(phone))
	tab.click("#start-low")
	tab.until("both play", `["video", "video-low"].every((v) => document.getElementById(v).currentTime > 1 && !document.getElementById(v).paused) && document.getElementById("start").hidden && document.getElementById("start-low").hidden`)
	tab.until("it is known how far behind they are", aged+`.flat().every(isFinite)`)
	tab.until("low latency is closer to live", `((a) => a[0][1] < a[1][1] - 2 && a[0][0] < a[1][0] - 2)(`+aged+`)`)
	// Both are read at one moment; a busy machine shows pictures late, and says so in the second figure alone.
	var a [2][2]float64
	rig.Eventually(t, patience, "the time stamps say what the clock shows", func() bool {
		a = is[[2][2]float64](tab, aged)
		return math.Abs(a[0][0]-a[0][1]) < 0.6 && math.Abs(a[1][0]-a[1][1]) < 0.6
	})
	t.Logf("behind live: low latency %.1f s, by the clock in the picture %.1f s; plain %.1f s and %.1f s", a[0][0], a[0][1], a[1][0], a[1][1])
	if face := is[string](tab, `document.getElementById("encoder-clock").textContent`); len(face) != 5 {
		t.Errorf("the encoder's clock shows %q", face)
	}
	tab.shot("demo", desktop, dark(desktop), phone, dark(phone))

	tab.click("#mode-low")
	tab.until("low latency alone plays", `document.getElementById("screen-plain").hidden && document.getElementById("video").paused && document.getElementById("video-low").currentTime > 1`)
	tab.shot("demo-low", desktop, phone)
	tab.click("#mode-plain")
	tab.until("plain alone plays", `document.getElementById("screen-low").hidden && document.getElementById("video").currentTime > 1`)
	tab.good()
}
