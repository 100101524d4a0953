package cmaf

import (
	"bytes"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/Eyevinn/dash-mpd/mpd"
	eyevinn "github.com/Eyevinn/hls-m3u8/m3u8"
	gohlslib "github.com/bluenviron/gohlslib/v2/pkg/playlist"

	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestEveryDocumentReads follows every playlist from every entry, live, recorded and time-shifted, of a stream whose encoder came
// back and of a ladder, low latency on, and has two parsers that are not ours read each; each manifest is read by another, too, and is
// what the schema of DASH allows.
func TestEveryDocumentReads(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	p := rig.Serve(t, t.TempDir(), `
hls: {segment_duration: 1s, low_latency: true, part_duration: 200ms}
apps: {live: {publish: open, groups: {show: [show_a, show_b]}, session_data: {com.example.title: "A & B"}}}
rtsp: {udp_rtp: "", udp_rtcp: ""}
storage: {url: file://bucket}
spool: {dir: spool}
`)
	since := rig.Since(time.Now())
	for _, rung := range []string{"show_a", "show_b"} {
		defer rig.Shoot(t, p, rung, since).Stop()
	}
	camera := rig.Shoot(t, p, "cam")
	ready := func(list string, segments int) {
		t.Helper()
		rig.Eventually(t, time.Minute, list+" has grown", func() bool { return strings.Count(rig.TryGet(p.URL("live/streams/"+list)), "#EXTINF:") >= segments })
	}
	rig.Eventually(t, time.Minute, "the streams are there", func() bool {
		return p.Status(p.URL("live/streams/cam.m3u8"))+p.Status(p.URL("live/streams/show.m3u8")) == 400
	})
	cam, show := p.RecordingOf("cam"), p.RecordingOf("show")
	ready("cam/"+cam+"/live.m3u8", 3)
	camera.Stop()
	camera = rig.Shoot(t, p, "cam", rig.BeginningAnew)
	defer camera.Stop()
	rig.Eventually(t, time.Minute, "the encoder is back", func() bool {
		_, since, broken := strings.Cut(rig.TryGet(p.URL("live/streams/cam/"+cam+"/live.m3u8")), "#EXT-X-DISCONTINUITY\n")
		return broken && strings.Count(since, "#EXTINF:") >= 2
	})

	past := "?start=" + time.Now().Add(-4*time.Second).UTC().Format(time.RFC3339) + "&end=" + time.Now().Add(-time.Second).UTC().Format(time.RFC3339)
	d := documents{t: t, p: p, seen: map[string]bool{}}
	for _, stream := range [][2]string{{"cam", cam}, {"show", show}} {
		for _, name := range []string{stream[0], stream[0] + "-" + stream[1]} {
			for _, end := range []string{".m3u8", "_cmaf.m3u8", ".mpd", ".m3u8" + past, "_cmaf.m3u8" + past, ".mpd" + past} {
				d.read(p.URL("live/streams/" + name + end))
			}
		}
		d.read(p.URL("live/streams/" + stream[0] + "_ll.m3u8"))
		d.read(p.URL("live/streams/" + stream[0] + "_ll.mpd"))
	}
	t.Logf("%d playlists, %d manifests", d.playlists, d.manifests)
	if d.playlists < 30 || d.manifests < 10 {
		t.Error("those are not all")
	}
}

// documents reads what it is led to.
type documents struct {
	t                    *testing.T
	p                    *rig.Process
	seen                 map[string]bool
	playlists, manifests int
}

var quotedURI = regexp.MustCompile(`URI="([^"]+\.m3u8[^"]*)"`)

func (d *documents) read(at string) {
	if d.seen[at] {
		return
	}
	d.seen[at] = true
	body := d.p.Get(at)
	if strings.Contains(at, ".mpd") {
		d.manifest(at, body)
		return
	}
	d.playlists++
	if _, err := gohlslib.Unmarshal([]byte(body)); err != nil {
		d.t.Errorf("gohlslib reads %s: %v\n%s", at, err, body)
	}
	if _, _, err := eyevinn.DecodeFrom(strings.NewReader(body), true); err != nil {
		d.t.Errorf("hls-m3u8 reads %s: %v\n%s", at, err, body)
	}
	for line := range strings.Lines(body) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && strings.Contains(line, ".m3u8") {
			d.read(d.beside(at, line))
		}
		for _, m := range quotedURI.FindAllStringSubmatch(line, -1) {
			d.read(d.beside(at, m[1]))
		}
	}
}

// beside is the address of a URI in the document at another.
func (d *documents) beside(at, uri string) string {
	base, err := url.Parse(at)
	if err != nil {
		d.t.Fatal(err)
	}
	to, err := base.Parse(uri)
	if err != nil {
		d.t.Fatalf("%s: %v", at, err)
	}
	return to.String()
}

func (d *documents) manifest(at, body string) {
	d.manifests++
	if _, err := mpd.MPDFromBytes([]byte(body)); err != nil {
		d.t.Errorf("dash-mpd reads %s: %v\n%s", at, err, body)
	}
	if strings.Count(body, "<Period ") != strings.Count(body, ` contentType="audio"`) {
		d.t.Errorf("%s: sound is missing\n%s", at, body)
	}
	rig.Need(d.t, "xmllint")
	if said := d.lint(body); said != "" {
		d.t.Errorf("%s: %s\n%s", at, said, body)
	}
	for _, wrong := range [][2]string{{" bandwidth=", " bandwith="}, {"<S ", "<T "}, {"$Number", "$Numbr"}, {"PT", "P"}} { // the schema sees that
		if d.lint(strings.Replace(body, wrong[0], wrong[1], 1)) == "" {
			d.t.Errorf("the schema allows %q", wrong[1])
		}
	}
}

// lint holds a manifest to the schema, and returns what is wrong with it.
func (d *documents) lint(body string) string {
	cmd := exec.Command("xmllint", "--noout", "--nonet", "--schema", "testdata/mpd.xsd", "-")
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return ""
	}
	return err.Error() + ": " + string(bytes.TrimSpace(out))
}
