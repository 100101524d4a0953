package vod

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest/codec"
)

// both runs a test for each kind.
func both(t *testing.T, fn func(t *testing.T, kind Kind)) {
	for _, k := range []Kind{AdaptiveVideo, Remux} {
		t.Run(string(k), func(t *testing.T) { fn(t, k) })
	}
}

func TestWhatIsNoMedia(t *testing.T) {
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	f, err := z.Create("film.mp4")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.Write(bytes.Repeat([]byte("x"), 1000))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	both(t, func(t *testing.T, kind Kind) {
		for _, c := range []struct {
			name, code, says string
			body             []byte
		}{
			{"nothing", CodeEmpty, "0 bytes", nil},
			{"one byte", CodeNotMedia, "no media", []byte("x")},
			{"text", CodeNotMedia, "no media", []byte("dear diary, today I made a film\n")},
			{"zeros", CodeNotMedia, "no media", make([]byte, 100_000)},
			{"a ZIP archive", CodeNotMedia, "password", archive.Bytes()},
			{"a web page", CodeNotMedia, "web page", []byte("<!DOCTYPE html><html>404</html>")},
			{"a playlist that names a file of the server", CodeNotMedia, "playlist", []byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")},
			{"a list for concat", CodeNotMedia, "no media", []byte("ffconcat version 1.0\nfile /etc/passwd\n")},
			{"a picture", CodeNotMedia, "picture", []byte("\x89PNG\r\n\x1a\n0000000000")},
			{"only the first box of MP4", CodeNotMedia, "", []byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00")},
		} {
			t.Run(c.name, func(t *testing.T) { refused(t, bytesInput(c.body), kind, c.code, c.says) })
		}
	})
}

// noise follows the first bytes of each container: none may do more than to be refused.
func TestNoiseInContainers(t *testing.T) {
	needs(t, "ffmpeg", "ffprobe")
	noise := make([]byte, 10_000) // of 50,000 ffprobe tries each place over the network for 10 s
	for i, v := 0, uint32(1); i < len(noise); i++ {
		v = v*1664525 + 1013904223
		noise[i] = byte(v >> 24)
	}
	for _, head := range []string{"\x1a\x45\xdf\xa3", "FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00", "RIFF\x00\x00\x01\x00AVI LIST", "OggS", "fLaC", "\x00\x00\x01\xba", "ID3\x04\x00"} {
		t.Run(strings.ToValidUTF8(head[:4], "?"), func(t *testing.T) {
			out := newShelf()
			_, err := Package(t.Context(), Request{Input: bytesInput(append([]byte(head), noise...)), Output: out, Kind: AdaptiveVideo})
			var r *Refusal
			if !errors.As(err, &r) || r.Reason == "" {
				t.Errorf("got %v, want a refusal", err)
			}
			unlisted(t, "it fails", out)
		})
	}
}

func cut(t *testing.T, path string, part float64) Input {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytesInput(b[:int(float64(len(b))*part)])
}

func TestTruncated(t *testing.T) {
	base := join(pictures("320x180", "25", "30"), tones("30"), h264, []string{"-c:a", "aac", "-shortest"})
	behind := create(t, "behind.mp4", base...)
	before := create(t, "before.mp4", append(base, "-movflags", "+faststart")...)
	matroska := create(t, "film.mkv", base...)
	both(t, func(t *testing.T, kind Kind) {
		refused(t, cut(t, behind, 0.6), kind, CodeTruncated, "no index")
		refused(t, cut(t, before, 0.6), kind, CodeTruncated, "not complete")
		refused(t, cut(t, before, 0.001), kind, CodeTruncated, "index")
		refused(t, cut(t, matroska, 0.5), kind, CodeTruncated, "30 s")
	})
}

// A recording in fragments that was interrupted is packaged as far as it goes, and that is said.
func TestInterruptedRecording(t *testing.T) {
	path := create(t, "obs.mp4", join(pictures("320x180", "25", "20"), tones("20"), h264, []string{"-c:a", "aac", "-shortest", "-movflags", "+frag_keyframe+empty_moov"})...)
	out := newShelf()
	res, err := Package(t.Context(), Request{Input: cut(t, path, 0.7), Output: out, Kind: Remux})
	if err != nil {
		t.Fatal(err)
	}
	if res.Duration < 10*time.Second || res.Duration > 15*time.Second || !strings.Contains(strings.Join(res.Notes, "\n"), "interrupted") {
		t.Errorf("%s, %q", res.Duration, res.Notes)
	}
}

func TestEncrypted(t *testing.T) {
	path := create(t, "drm.mp4", join(pictures("320x180", "25", "3"), tones("3"), h264, []string{"-c:a", "aac", "-shortest",
		"-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "76a6c65c5ea762046bd749a2e632ccbb", "-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"})...)
	both(t, func(t *testing.T, kind Kind) { refused(t, open(t, path), kind, CodeEncrypted, "DRM") })
}

// sparse is a file of a size of which only the beginning is there; the rest is zeros.
type sparse struct {
	head []byte
	size int64
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.size-off))
	clear(p[:n])
	if off < int64(len(s.head)) {
		copy(p[:n], s.head[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
func (s *sparse) Size() int64  { return s.size }
func (s *sparse) Name() string { return "sparse" }

// 30 GB of which all that is media comes first is packaged in the time that the media take: nothing reads the rest.
func TestThirtyGigabytes(t *testing.T) {
	path := create(t, "film.mp4", join(pictures("320x180", "25", "8"), tones("8"), h264, []string{"-c:a", "aac", "-shortest", "-movflags", "+faststart"})...)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A box of 64 bits' length follows.
	const size = 30 << 30
	at := len(b)
	b = append(b, 0, 0, 0, 1, 'f', 'r', 'e', 'e')
	b = binary.BigEndian.AppendUint64(b, uint64(size-at))
	both(t, func(t *testing.T, kind Kind) {
		out := newShelf()
		res, err := Package(t.Context(), Request{Input: &sparse{b, size}, Output: out, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		if res.Duration < 7*time.Second {
			t.Errorf("%s", res.Duration)
		}
	})
	refused(t, &sparse{nil, size}, AdaptiveVideo, CodeNotMedia)
}

func TestRemuxRefusesOtherPictures(t *testing.T) {
	path := create(t, "film.avi", join(pictures("320x180", "25", "3"), []string{"-c:v", "mpeg4"})...)
	refused(t, open(t, path), Remux, CodeCodec, "mpeg4", "adaptive_video")
}

// AVI has no times of pictures that are not in their order: they cannot be put into a transport stream as they are.
func TestPicturesWithoutTimes(t *testing.T) {
	path := create(t, "film.avi", join(pictures("320x180", "25", "3"), tones("3"), []string{"-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-b_strategy", "0", "-pix_fmt", "yuv420p", "-c:a", "libmp3lame", "-shortest"})...)
	for _, cmaf := range []bool{false, true} {
		_, err := Package(t.Context(), Request{Input: open(t, path), Output: newShelf(), Kind: Remux, Options: Options{CMAF: cmaf}})
		var r *Refusal
		if !errors.As(err, &r) || r.Code != CodeCodec || !strings.Contains(r.Reason, "adaptive_video") {
			t.Errorf("%v", err)
		}
	}
}

// Pictures without parameter sets are nothing to show, and nothing that an init segment could be made of.
func TestPicturesWithoutSets(t *testing.T) {
	r := &rung{name: "180p", up: newUploads(newShelf()), cmaf: true, target: 90_000}
	if err := r.configure(codec.H264, nil); err != nil {
		t.Fatal(err)
	}
	p := pictureOf(codec.H264, 0, 0, [][]byte{{0x65, 0x88, 0x84, 0x3a}})
	if err := r.video(t.Context(), &p); err != nil || !p.key {
		t.Fatal(p.key, err)
	}
	if d, ok, err := r.close(t.Context()); ok || err != nil {
		t.Errorf("%+v, %v, %v", d, ok, err)
	}
}

// A fault of the program itself ends a package, and nothing else: wherever it comes up.
func TestFaultsAreContained(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("320x180", "25", "8"), h264)...)
	for _, stage := range []string{"probing", "transcoding"} {
		told := 0
		_, err := Package(t.Context(), Request{Input: open(t, path), Output: newShelf(), Kind: AdaptiveVideo, Progress: func(p Progress) {
			if p.Stage == stage {
				if told++; told > 1 || stage == "probing" {
					panic("a fault in " + stage)
				}
			}
		}})
		var f *Fault
		if !errors.As(err, &f) || f.Value != "a fault in "+stage || !strings.Contains(string(f.Stack), "TestFaultsAreContained") {
			t.Errorf("%s: %v", stage, err)
		}
	}
}

func TestBadRequests(t *testing.T) {
	in := bytesInput(nil)
	for name, r := range map[string]Request{
		"a kind":          {Kind: "vhs"},
		"a duration":      {Kind: Remux, Options: Options{SegmentDuration: time.Millisecond}},
		"a name":          {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "../x", Height: 720}}}},
		"two names":       {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "a", Height: 720}, {Name: "a", Height: 480}}}},
		"the sound's":     {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "audio-2", Height: 720}}}},
		"the recordings'": {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "streams", Height: 720}}}},
		"a picture's":     {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "poster.jpg", Height: 720}}}},
		"no size":         {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "a"}}}},
		"a bit rate":      {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "a", Height: 720, VideoBitrate: 5}}}},
		"a sound's rate":  {Kind: Remux, Options: Options{Ladder: []Rung{{Name: "a", Height: 720, AudioBitrate: 5}}}},
	} {
		r.Input, r.Output = in, newShelf()
		_, err := Package(t.Context(), r)
		var f *Refusal
		if !errors.As(err, &f) || f.Code != CodeBadRequest {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOwn(t *testing.T) {
	for _, key := range []string{"master.m3u8", "master_cmaf.m3u8", "manifest.mpd", "poster.jpg", "thumbnails.vtt", "thumbnails-12.jpg", "720p/stream.m3u8", "720p/stream_cmaf.m3u8", "a.b_c/init.mp4", "audio-2/segment-0.ts", "720p/segment-10.m4s"} {
		if !Own(key) {
			t.Errorf("%s is not", key)
		}
	}
	for _, key := range []string{"", "notes.txt", "film.mp4", "x/master.m3u8", "x/720p/stream.m3u8", "x/720p/segment-0.ts", "segment-0.ts", "720p/film.mp4", "720p/segment-.ts", "720p/segment-1a.ts", "720p/segment-1.ts.m4s", "streams/stream.m3u8", "streams/cam/2023/1.ts", "/stream.m3u8", "thumbnails-.jpg"} {
		if Own(key) {
			t.Errorf("%s is", key)
		}
	}
}

// failing is a film whose reading fails somewhere.
type failing struct {
	Input
	after int64
	cause error
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.after {
		return 0, f.cause
	}
	return f.Input.ReadAt(p, off)
}

// What fails for another reason than the file is to be tried again: no refusal, and nothing is listed.
func TestFaultsThatPass(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("320x180", "25", "20"), tones("20"), h264, []string{"-c:a", "aac", "-shortest"})...)
	mp4 := create(t, "film.mp4", join(pictures("320x180", "25", "20"), h264, []string{"-movflags", "+faststart"})...)
	cause := errors.New("no space left on device")
	for _, p := range []string{path, mp4} {
		both(t, func(t *testing.T, kind Kind) {
			check := func(what string, err error, out *shelf) {
				t.Helper()
				var r *Refusal
				if errors.As(err, &r) || !errors.Is(err, cause) {
					t.Errorf("%s: %v", what, err)
				}
				unlisted(t, what, out)
			}
			out := newShelf()
			out.fail = func(key string) error {
				if strings.HasSuffix(key, "segment-1.ts") {
					return cause
				}
				return nil
			}
			_, err := Package(t.Context(), Request{Input: open(t, p), Output: out, Kind: kind})
			check("the output is full", err, out)

			out = newShelf()
			out.fail = func(key string) error {
				if key == "master.m3u8" {
					return cause
				}
				return nil
			}
			_, err = Package(t.Context(), Request{Input: open(t, p), Output: out, Kind: kind})
			check("the last object fails", err, out)

			out = newShelf()
			in := open(t, p)
			_, err = Package(t.Context(), Request{Input: &failing{in, in.Size() / 2, cause}, Output: out, Kind: kind})
			check("the input fails", err, out)
		})
	}
}

// script is a program that stands for ffmpeg.
func script(t *testing.T, body string) string {
	path := filepath.Join(t.TempDir(), "ffmpeg")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFFmpegThatFails(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("320x180", "25", "20"), tones("20"), h264, []string{"-c:a", "aac", "-shortest"})...)
	real, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct{ command, says string }{
		"killed in the middle": {script(t, real+` "$@" & p=$!; sleep 0.3; kill -9 $p; kill -9 $$`), "killed"},
		"killed at once":       {script(t, "kill -9 $$"), "memory"},
		"not there":            {"/no/such/ffmpeg", "install ffmpeg"},
		"without libx264":      {script(t, "echo \"Unknown encoder 'libx264'\" >&2; exit 1"), "libx264"},
	} {
		t.Run(name, func(t *testing.T) {
			out := newShelf()
			_, err := Package(t.Context(), Request{Input: open(t, path), Output: out, Kind: AdaptiveVideo, FFmpeg: c.command})
			var r *Refusal
			if err == nil || errors.As(err, &r) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want one with %q", err, c.says)
			}
			unlisted(t, "it fails", out)
		})
	}
}

func TestCancelled(t *testing.T) {
	path := create(t, "film.mkv", join(pictures("640x360", "25", "40"), tones("40"), h264, []string{"-c:a", "aac", "-shortest"})...)
	mp4 := create(t, "film.mp4", join(pictures("640x360", "25", "40"), h264)...)
	for _, p := range []string{path, mp4} {
		both(t, func(t *testing.T, kind Kind) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			out := newShelf()
			var puts atomic.Int64
			out.fail = func(string) error {
				if puts.Add(1) == 3 {
					cancel()
				}
				return nil
			}
			_, err := Package(ctx, Request{Input: open(t, p), Output: out, Kind: kind})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			unlisted(t, "it fails", out)
		})
	}
}
