package rig

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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/library"
	"github.com/hlsorigin/hlsorigin/storage/s3"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// Vault is a real S3 server. The server under test reaches it through a proxy that causes trouble when told to; the test accesses it
// directly.
type Vault struct {
	T     *testing.T
	At    storetest.Server
	Proxy *storetest.Proxy
	Store storage.Store
	Way   string // where the server under test reaches it instead of the proxy; may be empty
	Plain bool   // the store keeps no attributes, and they are not looked at
}

// NewVault starts an S3 server with an empty bucket; it ends with the test.
func NewVault(t *testing.T) *Vault {
	t.Helper()
	return VaultOn(t, storetest.Versitygw(t))
}

// VaultOn is NewVault with a server that was started already.
func VaultOn(t *testing.T, at storetest.Server) *Vault {
	t.Helper()
	v := &Vault{T: t, At: at, Proxy: storetest.NewProxy(t, at.Endpoint)}
	store, err := s3.Open(t.Context(), s3.Options{
		Bucket: at.Bucket, Prefix: "archive", Endpoint: at.Endpoint, PathStyle: true, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	v.Store = store
	return v
}

// YAML returns the part of a configuration that names the bucket.
func (v *Vault) YAML() string {
	way := v.Way
	if way == "" {
		way = v.Proxy.URL
	}
	return fmt.Sprintf("storage: {url: \"s3://%s/archive\", endpoint: %q, region: us-east-1, path_style: true, access_key: %s, secret_key: %s}\n",
		v.At.Bucket, way, v.At.AccessKey, v.At.SecretKey)
}

// Get reads an object, uncompressed; ok is false if there is none.
func (v *Vault) Get(key string) (body []byte, o storage.Object, ok bool) {
	r, o, err := v.Store.Get(context.Background(), key, 0, -1)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			v.T.Errorf("get %s: %v", key, err)
		}
		return nil, o, false
	}
	defer r.Close()
	in := io.Reader(r)
	if o.ContentEncoding == "gzip" {
		if in, err = gzip.NewReader(r); err != nil {
			v.T.Errorf("get %s: %v", key, err)
			return nil, o, false
		}
	}
	if body, err = io.ReadAll(in); err != nil {
		v.T.Errorf("get %s: %v", key, err)
		return nil, o, false
	}
	return body, o, true
}

// Has reports whether an object is in the bucket.
func (v *Vault) Has(key string) bool {
	_, err := v.Store.Stat(context.Background(), key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		v.T.Errorf("stat %s: %v", key, err)
	}
	return err == nil
}

// Keys lists the keys in the bucket under a prefix.
func (v *Vault) Keys(prefix string) (keys []string) {
	err := v.Store.List(context.Background(), prefix, func(o storage.Object) error {
		keys = append(keys, o.Key)
		return nil
	})
	if err != nil {
		v.T.Error(err)
	}
	return keys
}

// Media reads a media playlist, or returns nil.
func (v *Vault) Media(key string) *m3u8.Media {
	body, _, ok := v.Get(key)
	if !ok {
		return nil
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		v.T.Errorf("%s: %v\n%s", key, err, body)
	}
	return m
}

// Web serves the bucket over plain HTTP, like a CDN that signs its requests.
func (v *Vault) Web() string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, o, err := v.Store.Get(r.Context(), strings.TrimPrefix(r.URL.Path, "/"), 0, -1)
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
	v.T.Cleanup(srv.Close)
	return srv.URL + "/"
}

// EntryKey returns the key of a stream's stable entry in the bucket.
func EntryKey(stream string) string {
	return segmenter.Name{Kind: segmenter.KindEntry, App: "live", Stream: stream}.String()
}

// LiveKey returns the key of a recording's live playlist.
func LiveKey(stream, recording string) string {
	return segmenter.Name{Kind: segmenter.KindLive, App: "live", Stream: stream, Recording: segmenter.RecordingID(recording)}.String()
}

// ArchiveKey returns the key of a recording's timestamped playlist.
func ArchiveKey(stream, recording string) string {
	return segmenter.Name{Kind: segmenter.KindArchive, App: "live", Stream: stream, Recording: segmenter.RecordingID(recording)}.String()
}

// Finished checks a finished recording in the bucket against what a viewer was shown: every segment is there with the viewer's bytes, or is
// a declared gap, and the whole plays. It returns the numbers of the segments that were shown and are lost, and the number of gaps.
func (v *Vault) Finished(w *Viewer, stream string) (lost []string, gaps int) {
	v.T.Helper()
	w.Mu.Lock()
	defer w.Mu.Unlock()
	key := ArchiveKey(stream, w.Recording)
	body, _, ok := v.Get(key)
	if !ok {
		v.T.Errorf("%s is not in the bucket", key)
		return nil, 0
	}
	m, err := m3u8.ParseMedia(body)
	if err != nil {
		v.T.Errorf("%s: %v", key, err)
		return nil, 0
	}
	if !m.EndList || m.Type != m3u8.VOD {
		v.T.Errorf("%s is not finished", key)
		return nil, 0 // ffmpeg would wait for its end
	}
	folder := v.T.TempDir()
	at := filepath.Join(folder, filepath.Base(key))
	if err := os.WriteFile(at, body, 0o600); err != nil {
		v.T.Fatal(err)
	}
	named := map[string]bool{} // true: it exists
	for i := range m.Segments {
		s := &m.Segments[i]
		uri := path.Base(s.URI)
		named[uri] = !s.Gap
		if s.Gap {
			gaps++
			continue
		}
		if want := m.MediaSequence + uint64(i); uri != segmenter.SegmentFile(want) {
			v.T.Errorf("%s: number %d is %s", key, want, s.URI)
		}
		body, o, ok := v.Get(path.Join(path.Dir(key), s.URI))
		if !ok {
			v.T.Errorf("%s names %s, which is not there", key, s.URI)
			continue
		}
		if !v.Plain && (o.ContentType != "video/mp2t" || o.CacheControl != "public, max-age=31536000, immutable") {
			v.T.Errorf("%s: %q, %q", s.URI, o.ContentType, o.CacheControl)
		}
		if s.Size != int64(len(body)) {
			v.T.Errorf("%s has %d bytes, the playlist says %d", s.URI, len(body), s.Size)
		}
		sum := md5.Sum(body)
		if shown := w.sums[uri]; shown != "" && shown != "gap" && shown != hex.EncodeToString(sum[:]) {
			v.T.Errorf("%s in the bucket has other bytes than were shown", s.URI)
		}
		file := filepath.Join(folder, filepath.FromSlash(s.URI))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, body, 0o600)); err != nil {
			v.T.Fatal(err)
		}
	}
	for uri := range w.Named {
		if there, ok := named[uri]; !ok {
			v.T.Errorf("%s: %s was shown and is not named", key, uri)
		} else if !there && w.sums[uri] != "gap" {
			lost = append(lost, uri)
		}
	}
	v.plays(m, at)
	return lost, gaps
}

// plays lets ffmpeg play a recording from a folder to its end: it decodes every picture that the segments hold, and they hold what the
// playlist's duration promises at 25 a second. Where a connection breaks, the last picture that came may be one that the camera sends before
// those shown before it: at the end of each run of segments up to reorder pictures are in the duration and never came.
func (v *Vault) plays(m *m3u8.Media, file string) {
	v.T.Helper()
	Need(v.T, "ffmpeg")
	const reorder = 2
	var whole bytes.Buffer
	var ticks int64
	ends := 1
	for i, s := range m.Segments {
		if s.Discontinuity && i > 0 {
			ends++
		}
		if s.Gap {
			continue
		}
		ticks += s.Duration
		body, err := os.ReadFile(filepath.Join(filepath.Dir(file), filepath.FromSlash(s.URI)))
		if err != nil {
			v.T.Error(err)
		}
		whole.Write(body)
	}
	pictures, said := Play(v.T, file)
	if held := held(v.T, &whole); pictures != held {
		v.T.Errorf("%s: %d pictures decoded, the segments hold %d\n%s", filepath.Base(file), pictures, held, said)
	}
	if want := int(ticks * 25 / 90000); pictures < want-want/100-reorder*ends || pictures > want+want/100+2 {
		v.T.Errorf("%s: %d pictures decoded, %d expected\n%s", filepath.Base(file), pictures, want, said)
	}
}

// held returns the number of pictures in a transport stream, by ffprobe, undecoded.
func held(t *testing.T, ts io.Reader) int {
	t.Helper()
	cmd := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", "-")
	cmd.Stdin = ts
	out, err := cmd.Output()
	n, wrong := strconv.Atoi(strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0]))
	if err != nil || wrong != nil {
		t.Errorf("ffprobe: %v, %q", err, out)
	}
	return n
}

// CheckPlaylists checks that every playlist in the bucket has the attributes with which the origin serves it.
func (v *Vault) CheckPlaylists(finished bool) {
	v.T.Helper()
	for _, key := range v.Keys("") {
		n, ok := segmenter.ParseName(key)
		if !ok && strings.HasPrefix(key, storage.Shared) {
			continue // which server has a stream
		}
		if !ok {
			v.T.Errorf("%s is no name of ours", key)
			continue
		}
		if n.Kind == segmenter.KindSegment {
			continue
		}
		o, err := v.Store.Stat(v.T.Context(), key)
		if err != nil {
			v.T.Error(err)
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
			v.T.Errorf("%s: %q, %q", key, o.ContentType, o.CacheControl)
		}
	}
}

// WaitSettled waits until the bucket has everything that the server listed.
func (v *Vault) WaitSettled(p *Process, within time.Duration) {
	v.T.Helper()
	Eventually(v.T, within, "all is in the bucket", func() bool {
		return p.Metric("hlsorigin_upload_backlog_segments{target=\"bucket\"}") == 0
	})
}

// WaitFinished waits until a recording has its end in the bucket.
func (v *Vault) WaitFinished(stream, recording string, within time.Duration) {
	v.T.Helper()
	Eventually(v.T, within, stream+" is finished in the bucket", func() bool {
		body, _, ok := v.Get(ArchiveKey(stream, recording))
		return ok && bytes.Contains(body, []byte(m3u8.EndList))
	})
}

// Play decodes a recording with ffmpeg and returns the number of pictures and ffmpeg's complaints.
func Play(t *testing.T, input string) (pictures int, said string) {
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

// library returns the bucket as a library, with a clock so late that nobody counts as still writing.
func (v *Vault) library() *library.Library {
	return library.New(v.Store, library.Options{Now: func() time.Time { return time.Now().Add(time.Hour) }})
}

// Verify audits a recording with the library, to the last byte: it has exactly that many gaps, and is otherwise complete.
func (v *Vault) Verify(stream, recording string, gaps int) {
	v.T.Helper()
	r, err := v.library().Verify(v.T.Context(), library.RecordingRef{App: "live", Stream: stream, ID: segmenter.RecordingID(recording)}, library.VerifyOptions{Checksums: true})
	if err != nil {
		v.T.Error(err)
		return
	}
	found := 0
	for _, f := range r.Findings {
		if f.Problem == library.ProblemGap || f.Problem == library.ProblemReturned {
			found++
		}
	}
	if !r.Sound || r.Whole != (gaps == 0) || found != gaps || r.Recording.Gaps != gaps {
		v.T.Errorf("verify of %s: whole %v, %d gaps found, the playlist has %d: %+v", stream, r.Whole, found, gaps, r.Findings)
	}
}
