package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/s3"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// vault is a real S3 server. The server under test reaches it through a proxy that makes trouble when told to; the test
// looks at it directly.
type vault struct {
	t     *testing.T
	at    storetest.Server
	proxy *storetest.Proxy
	store storage.Store
}

func newVault(t *testing.T) *vault {
	t.Helper()
	at := storetest.Versitygw(t)
	v := &vault{t: t, at: at, proxy: storetest.NewProxy(t, at.Endpoint)}
	store, err := s3.Open(t.Context(), s3.Options{
		Bucket: at.Bucket, Prefix: "archive", Endpoint: at.Endpoint, PathStyle: true, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.store = store
	return v
}

// yaml is the part of a configuration that names the bucket.
func (v *vault) yaml() string {
	return fmt.Sprintf("storage: {url: \"s3://%s/archive\", endpoint: %q, region: us-east-1, path_style: true, access_key: %s, secret_key: %s}\n",
		v.at.Bucket, v.proxy.URL, v.at.AccessKey, v.at.SecretKey)
}

// get reads an object, unpacked; ok is false where there is none.
func (v *vault) get(key string) (body []byte, o storage.Object, ok bool) {
	r, o, err := v.store.Get(context.Background(), key, 0, -1)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			v.t.Errorf("get %s: %v", key, err)
		}
		return nil, o, false
	}
	defer r.Close()
	in := io.Reader(r)
	if o.ContentEncoding == "gzip" {
		if in, err = gzip.NewReader(r); err != nil {
			v.t.Errorf("get %s: %v", key, err)
			return nil, o, false
		}
	}
	if body, err = io.ReadAll(in); err != nil {
		v.t.Errorf("get %s: %v", key, err)
		return nil, o, false
	}
	return body, o, true
}

func (v *vault) has(key string) bool {
	_, err := v.store.Stat(context.Background(), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.t.Errorf("stat %s: %v", key, err)
	}
	return err == nil
}

// keys lists what lies in the bucket under a prefix.
func (v *vault) keys(prefix string) (keys []string) {
	err := v.store.List(context.Background(), prefix, func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		v.t.Error(err)
	}
	return keys
}

// media reads a media playlist; nil where there is none.
func (v *vault) media(key string) *m3u8.Media {
	body, _, ok := v.get(key)
	if !ok {
		return nil
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		v.t.Errorf("%s: %v\n%s", key, err, body)
	}
	return m
}

// web serves the bucket over plain HTTP, as a CDN does that signs what it asks for.
func (v *vault) web() string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, o, err := v.store.Get(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), 0, -1)
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		defer body.Close()
		w.Header().Set("Content-Type", o.ContentType)
		w.Header().Set("Content-Length", fmt.Sprint(o.Size))
		if o.ContentEncoding != "" {
			w.Header().Set("Content-Encoding", o.ContentEncoding)
		}
		_, _ = io.Copy(w, body)
	}))
	v.t.Cleanup(srv.Close)
	return srv.URL + "/"
}

// entryKey, liveKey and archiveKey are the playlists of a stream's recording.
func entryKey(stream string) string {
	return segmenter.Name{Kind: segmenter.KindEntry, App: "live", Stream: stream}.String()
}

func liveKey(stream, recording string) string {
	return segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: stream, Recording: segmenter.RecordingID(recording)}.String()
}

func archiveKey(stream, recording string) string {
	return segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: stream, Recording: segmenter.RecordingID(recording)}.String()
}

// peek is the reader who looks at every moment: it loads every playlist of some streams again and again, and each must
// be playable as it is found, and never go back.
type peek struct {
	v       *vault
	streams []string
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	reads  int
	faults []string
	there  map[string]bool        // objects seen to exist: nothing is ever removed
	last   map[string]*m3u8.Media // by key
}

// peekAt reads every 50 ms until the test ends or stop is called.
func (v *vault) peekAt(streams ...string) *peek {
	ctx, cancel := context.WithCancel(context.Background())
	p := &peek{v: v, streams: streams, cancel: cancel, done: make(chan struct{}), there: map[string]bool{}, last: map[string]*m3u8.Media{}}
	go func() {
		defer close(p.done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, s := range p.streams {
				p.look(s)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	v.t.Cleanup(p.stop)
	return p
}

func (p *peek) stop() {
	p.cancel()
	<-p.done
}

// good stops, and fails the test for every fault.
func (p *peek) good() {
	p.v.t.Helper()
	p.stop()
	for _, f := range p.faults {
		p.v.t.Error(f)
	}
	p.v.t.Logf("%d playlists read from the bucket, %d faults", p.reads, len(p.faults))
}

func (p *peek) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads
}

func (p *peek) fault(format string, args ...any) {
	if len(p.faults) < 50 {
		p.faults = append(p.faults, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
	}
}

func (p *peek) look(stream string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := entryKey(stream)
	body, _, ok := p.v.get(key)
	if !ok {
		return
	}
	p.reads++
	m, err := m3u8.ParseMaster(body)
	if err != nil {
		p.fault("%s: %v", key, err)
		return
	}
	live := path.Join(path.Dir(key), m.Variants[0].URI)
	p.media(live)
	p.media(archiveKey(stream, path.Base(path.Dir(live))))
}

func (p *peek) media(key string) {
	body, _, ok := p.v.get(key)
	if !ok {
		if path.Base(key) == "live.m3u8" {
			p.fault("the entry names %s, which is not there", key)
		}
		return
	}
	p.reads++
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		p.fault("%s: %v\n%s", key, err, body)
		return
	}
	for i := range m.Segments {
		at := path.Join(path.Dir(key), m.Segments[i].URI)
		if m.Segments[i].Gap || p.there[at] {
			continue
		}
		if p.there[at] = p.v.has(at); !p.there[at] {
			p.fault("%s names %s, which is not there", key, at)
		}
	}
	if old := p.last[key]; old != nil && (m.MediaSequence < old.MediaSequence || m.DiscontinuitySequence < old.DiscontinuitySequence ||
		old.EndList && !m.EndList || m.MediaSequence+uint64(len(m.Segments)) < old.MediaSequence+uint64(len(old.Segments))) {
		p.fault("%s went back: %d+%d, discontinuities %d, end %v; was %d+%d, %d, %v", key, m.MediaSequence, len(m.Segments), m.DiscontinuitySequence,
			m.EndList, old.MediaSequence, len(old.Segments), old.DiscontinuitySequence, old.EndList)
	}
	p.last[key] = m
}

// finished holds a finished recording in the bucket against what a viewer was shown: every segment is there with the
// viewer's bytes, or is a declared gap, and the whole plays. It gives the numbers of the segments that were shown and are
// lost, and how many gaps there are.
func (v *vault) finished(w *viewer, stream string) (lost []string, gaps int) {
	v.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	key := archiveKey(stream, w.recording)
	body, _, ok := v.get(key)
	if !ok {
		v.t.Errorf("%s is not in the bucket", key)
		return nil, 0
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		v.t.Errorf("%s: %v", key, err)
		return nil, 0
	}
	if !m.EndList || m.Type != m3u8.VOD {
		v.t.Errorf("%s is not finished", key)
	}
	folder := v.t.TempDir()
	at := filepath.Join(folder, filepath.Base(key))
	if err := os.WriteFile(at, body, 0o600); err != nil {
		v.t.Fatal(err)
	}
	named := map[string]bool{} // true: there
	for i := range m.Segments {
		s := &m.Segments[i]
		uri := path.Base(s.URI)
		named[uri] = !s.Gap
		if s.Gap {
			gaps++
			continue
		}
		if want := m.MediaSequence + uint64(i); uri != segmenter.SegmentFile(want) {
			v.t.Errorf("%s: number %d is %s", key, want, s.URI)
		}
		body, o, ok := v.get(path.Join(path.Dir(key), s.URI))
		if !ok {
			v.t.Errorf("%s names %s, which is not there", key, s.URI)
			continue
		}
		if o.ContentType != "video/mp2t" || o.CacheControl != "public, max-age=31536000, immutable" {
			v.t.Errorf("%s: %q, %q", s.URI, o.ContentType, o.CacheControl)
		}
		if s.Size != int64(len(body)) {
			v.t.Errorf("%s has %d bytes, the playlist says %d", s.URI, len(body), s.Size)
		}
		sum := md5.Sum(body)
		if shown := w.sums[uri]; shown != "" && shown != "gap" && shown != hex.EncodeToString(sum[:]) {
			v.t.Errorf("%s in the bucket has other bytes than were shown", s.URI)
		}
		file := filepath.Join(folder, filepath.FromSlash(s.URI))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, body, 0o600)); err != nil {
			v.t.Fatal(err)
		}
	}
	for uri := range w.named {
		if there, ok := named[uri]; !ok {
			v.t.Errorf("%s: %s was shown and is not named", key, uri)
		} else if !there && w.sums[uri] != "gap" {
			lost = append(lost, uri)
		}
	}
	v.plays(m, at)
	return lost, gaps
}

// plays lets ffmpeg play a recording from a folder to its end, and holds the number of decoded pictures against the
// playlist's duration at 25 a second.
func (v *vault) plays(m *m3u8.Media, file string) {
	v.t.Helper()
	need(v.t, "ffmpeg")
	var ticks int64
	for _, s := range m.Segments {
		if !s.Gap {
			ticks += s.Duration
		}
	}
	pictures, said := play(v.t, file)
	if want := int(ticks * 25 / 90000); pictures < want-want/100-2 || pictures > want+want/100+2 {
		v.t.Errorf("%s: %d pictures decoded, %d expected\n%s", filepath.Base(file), pictures, want, said)
	}
}

// checkPlaylists holds the attributes of every playlist in the bucket against what the origin says of the same.
func (v *vault) checkPlaylists(finished bool) {
	v.t.Helper()
	for _, key := range v.keys("") {
		n, ok := segmenter.ParseName(key)
		if !ok {
			v.t.Errorf("%s is no name of ours", key)
			continue
		}
		if n.Kind == segmenter.KindSegment {
			continue
		}
		o, err := v.store.Stat(v.t.Context(), key)
		if err != nil {
			v.t.Error(err)
			continue
		}
		want := "public, max-age="
		switch {
		case n.Kind == segmenter.KindArchive && finished:
			want = "public, max-age=3600"
		case n.Kind == segmenter.KindLive && finished:
			want = "public, max-age=60"
		}
		if o.ContentType != "application/vnd.apple.mpegurl" || !strings.HasPrefix(o.CacheControl, want) {
			v.t.Errorf("%s: %q, %q", key, o.ContentType, o.CacheControl)
		}
	}
}

// waitSettled waits until the bucket has all that the server listed.
func (v *vault) waitSettled(p *process, within time.Duration) {
	v.t.Helper()
	eventually(v.t, within, "all is in the bucket", func() bool {
		return p.metric("hlsorigin_upload_backlog_segments{target=\"bucket\"}") == 0
	})
}

// waitFinished waits until a recording has its end in the bucket.
func (v *vault) waitFinished(stream, recording string, within time.Duration) {
	v.t.Helper()
	eventually(v.t, within, stream+" is finished in the bucket", func() bool {
		body, _, ok := v.get(archiveKey(stream, recording))
		return ok && bytes.Contains(body, []byte(m3u8.EndList))
	})
}

// play decodes a recording with ffmpeg and gives the number of pictures and what ffmpeg complained of.
func play(t *testing.T, input string) (pictures int, said string) {
	t.Helper()
	var complaints bytes.Buffer
	cmd := exec.Command("ffmpeg", "-v", "error", "-i", input, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("ffmpeg cannot play %s: %v\n%s", input, err, complaints.String())
	}
	for line := range strings.SplitSeq(string(out), "\n") {
		if line != "" && line[0] != '#' {
			pictures++
		}
	}
	return pictures, complaints.String()
}
