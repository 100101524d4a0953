package crash

import (
	"path"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestAudit runs the archive commands on a real S3 server, without a server of ours: they remove stream1 and leave every byte of stream10,
// and find each kind of damage.
func TestAudit(t *testing.T) {
	rig.Need(t, "ffmpeg")
	t.Parallel()
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+v.YAML())
	refs := map[string]string{}
	streams := []string{"stream1", "stream10"}
	var cameras []*rig.Camera
	for _, s := range streams {
		cameras = append(cameras, rig.Shoot(t, p, s))
	}
	for _, s := range streams {
		rig.Eventually(t, 30*time.Second, s+" has some segments in the bucket", func() bool {
			n := 0
			for _, key := range v.Keys("live/streams/" + s + "/") {
				if strings.HasSuffix(key, ".ts") {
					n++
				}
			}
			return n >= 6
		})
		refs[s] = "live/" + s + "-" + p.RecordingOf(s)
	}
	for _, c := range cameras {
		c.Stop()
	}
	p.Signal(syscall.SIGINT, 30*time.Second)

	tool := func(args ...string) (string, int) { return p.Command(append([]string{"recordings"}, args...)...) }
	verify := func(want string, deep bool) {
		t.Helper()
		args := []string{"verify", refs["stream10"]}
		if deep {
			args = append(args, "-deep")
		}
		out, code := tool(args...)
		if want == "" && code != 0 || want != "" && (code != 1 || !strings.Contains(out, want)) {
			t.Errorf("verify, deep %v: status %d, want %q:\n%s", deep, code, want, out)
		}
	}
	contents := func() map[string]string {
		all := map[string]string{}
		for _, key := range v.Keys("") {
			if body, _, ok := v.Get(key); ok && strings.Contains(key, "/stream10") {
				all[key] = string(body)
			}
		}
		return all
	}
	before := contents()
	if out, code := tool("rm", "-yes", refs["stream1"]); code != 0 {
		t.Fatalf("rm: %s", out)
	}
	for _, key := range v.Keys("live/streams/stream1") {
		if !strings.HasPrefix(key, "live/streams/stream10") {
			t.Errorf("%s was left", key)
		}
	}
	after := contents()
	for key, body := range before {
		if after[key] != body {
			t.Errorf("%s was touched: %d bytes of %d", key, len(after[key]), len(body))
		}
	}
	verify("", true)

	list := rig.ArchiveKey("stream10", strings.TrimPrefix(refs["stream10"], "live/stream10-"))
	m := v.Media(list)
	segment := path.Join(path.Dir(list), m.Segments[2].URI)
	body := before[segment]
	put := func(key, body, contentType string) {
		t.Helper()
		if _, err := v.Store.Put(t.Context(), key, strings.NewReader(body), storage.Attributes{ContentType: contentType}); err != nil {
			t.Fatal(err)
		}
	}
	heal := func() {
		t.Helper()
		put(segment, body, "video/mp2t")
		put(list, before[list], "application/vnd.apple.mpegurl")
		verify("", true)
	}
	if err := v.Store.Remove(t.Context(), segment); err != nil {
		t.Fatal(err)
	}
	verify("missing", false)
	heal()
	put(segment, body[:len(body)-188], "video/mp2t")
	verify("size", false)
	heal()
	put(segment, body[:1000]+"another"+body[1007:], "video/mp2t") // of the same size
	verify("", false)                                             // names and sizes are correct
	verify("checksum", true)
	heal()
	more := *m
	more.Segments = append(append([]m3u8.Segment{}, m.Segments...), m3u8.Segment{URI: path.Dir(m.Segments[0].URI) + "/000000099.ts", Duration: 90000})
	put(list, string(more.Append(nil)), "application/vnd.apple.mpegurl")
	verify("000000099.ts", false)
	heal()
}
