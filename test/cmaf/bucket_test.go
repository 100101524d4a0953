package cmaf

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/test/rig"
)

// TestBucketHasCMAF checks that a recording is in a real S3 server as CMAF, too, over a death of the server: what is there is what the origin
// serves under the same paths, byte for byte and with the same header fields, and it plays from the bucket's own folder, with no server at all.
func TestBucketHasCMAF(t *testing.T) {
	t.Parallel()
	rig.Need(t, "ffmpeg")
	length := rig.Scaled(30*time.Second, 3*time.Second)
	v := rig.NewVault(t)
	p := rig.Serve(t, t.TempDir(), rig.Brisk+strings.Replace(v.YAML(), "{", "{packagings: [ts, cmaf], ", 1))
	begun := time.Now()
	push := rig.Push(t, rig.SourceNamed("gop_1s").Clip(t, length+30*time.Second), "rtmp://"+p.RTMP+"/live/cam")
	is := func(n segmenter.Name) bool { return v.Has(n.String()) }
	rig.Eventually(t, 30*time.Second, "the first segments are in the bucket as CMAF", func() bool {
		return p.RecordingOf("cam") != "" && is(segmenter.Name{Kind: segmenter.KindTrackLive, App: "live", Stream: "cam", Recording: segmenter.RecordingID(p.RecordingOf("cam")), Track: segmenter.AudioTrack})
	})
	id := segmenter.RecordingID(p.RecordingOf("cam"))
	time.Sleep(length)
	p.Kill()
	_ = push.Wait(10 * time.Second)
	p.Start()
	push = rig.Push(t, rig.SourceNamed("gop_1s").Clip(t, length), "rtmp://"+p.RTMP+"/live/cam")
	if err := push.Wait(length + 30*time.Second); err != nil {
		t.Error(err)
	}
	shown := time.Since(begun)
	archive := segmenter.Name{Kind: segmenter.KindCMAFArchive, App: "live", Stream: "cam", Recording: id}.String()
	v.WaitFinished("cam", string(id), 30*time.Second)
	rig.Eventually(t, 30*time.Second, "the bucket has all of it as CMAF", func() bool {
		m := v.Media("live/streams/cam/" + string(id) + "/v/" + string(id) + ".m3u8")
		return v.Has(archive) && m != nil && m.EndList && p.Metric(`hlsorigin_upload_cmaf_backlog_segments{target="bucket"}`) == 0
	})
	manifest := segmenter.Name{Kind: segmenter.KindDASHArchive, App: "live", Stream: "cam", Recording: id}.String()
	rig.Eventually(t, 30*time.Second, "the manifest, which is written last, is final, and the server knows it", func() bool {
		res, err := http.Head(p.URL(manifest))
		if err != nil || !v.Has(manifest) {
			return false
		}
		res.Body.Close()
		body, _, _ := v.Get(manifest)
		return bytes.Contains(body, []byte(` type="static"`)) && res.Header.Get("Cache-Control") == segmenter.AgeSettled
	})

	kinds := map[segmenter.Kind]int{}
	for _, key := range v.Keys("live/") {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Kind.Source() == n.Kind {
			continue
		}
		kinds[n.Kind]++
		body, o, _ := v.Get(key)
		res, err := http.Get(p.URL(key))
		if err != nil {
			t.Fatal(err)
		}
		want := new(bytes.Buffer)
		_, err = want.ReadFrom(res.Body)
		res.Body.Close()
		if n.Kind == segmenter.KindCMAFEntry || n.Kind == segmenter.KindCMAFArchive {
			want = bytes.NewBuffer(m3u8.WithoutIFrames(want.Bytes())) // these are made when they are asked for, and no bucket has them
		}
		switch {
		case err != nil || res.StatusCode != http.StatusOK:
			t.Errorf("%s: %s, %v\n%s", key, res.Status, err, want)
		case !bytes.Equal(body, want.Bytes()):
			t.Errorf("%s has %d bytes in the bucket, %d from the origin:\n%.2000s\n%.2000s", key, len(body), want.Len(), body, want)
		case res.Header.Get("Content-Type") != o.ContentType || res.Header.Get("Cache-Control") != o.CacheControl:
			t.Errorf("%s is %s, %s in the bucket, %s, %s from the origin", key, o.ContentType, o.CacheControl, res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"))
		}
	}
	for _, k := range []segmenter.Kind{segmenter.KindCMAFEntry, segmenter.KindCMAFArchive, segmenter.KindTrackLive, segmenter.KindTrackArchive, segmenter.KindFragment, segmenter.KindInit,
		segmenter.KindDASHEntry, segmenter.KindDASHArchive} {
		if kinds[k] == 0 {
			t.Errorf("nothing of kind %d is there: %v", k, v.Keys("live/"))
		}
	}
	dangling(t, v, id)

	p.Kill()
	web := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(v.At.Dir, v.At.Bucket))))
	defer web.Close()
	pictures, said := rig.Play(t, web.URL+"/archive/"+archive)
	segments := 0
	for _, s := range v.Media(rig.ArchiveKey("cam", string(id))).Segments {
		if !s.Gap {
			segments++
		}
	}
	if pictures < 25*(segments-2) || pictures > 25*(segments+2) || said != "" {
		t.Errorf("%d pictures of %d segments in %v played from the folder\n%s", pictures, segments, shown.Round(time.Second), said)
	}
	t.Logf("%v, %d pictures of %d segments", kinds, pictures, segments)
}

// dangling reports what the playlists of the tracks name and the bucket does not have.
func dangling(t *testing.T, v *rig.Vault, id segmenter.RecordingID) {
	t.Helper()
	keys := v.Keys("live/")
	for _, track := range []string{"v", "a"} {
		for _, list := range []string{"live.m3u8", string(id) + ".m3u8"} {
			key := "live/streams/cam/" + string(id) + "/" + track + "/" + list
			m := v.Media(key)
			if m == nil {
				t.Errorf("%s is not there", key)
				continue
			}
			breaks := 0
			for _, s := range m.Segments {
				if s.Discontinuity {
					breaks++
				}
				for _, uri := range []string{s.URI, s.Map} {
					if at := path.Join(path.Dir(key), uri); uri != "" && !s.Gap && !slices.Contains(keys, at) {
						t.Errorf("%s names %s, which is not there", key, uri)
					}
				}
			}
			if strings.HasSuffix(list, "live.m3u8") {
				continue
			}
			if breaks == 0 || m.Segments[0].Map == "" {
				t.Errorf("%s has %d discontinuities, and begins with %+v", key, breaks, m.Segments[0])
			}
		}
	}
}
