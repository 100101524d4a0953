// Package library is the archivist: it lists, verifies, repairs, exports, clips, removes and expires the recordings of a store, and
// needs nothing but the store for it, no server and no spool. It never trusts a key's prefix, and refuses to change or remove
// a segment of a recording that it was not asked for.
package library

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/segmenter/m3u8"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Library is the archivist's view of a store: it knows recordings, where the store knows keys. It needs nothing but the
// store, no server and no spool. It never trusts a key's prefix: what belongs to a recording is what its playlist names,
// and what lies in its own folder. Its methods may run at the same time.
type Library struct {
	s storage.Store
	o Options
}

// Options say how a Library works.
type Options struct {
	Workers int // requests at once; default 8
	// Alive is how long after the last change a recording without an end may still have its publisher, or its server;
	// until then it is neither repaired nor removed without force. Default 10m.
	Alive    time.Duration
	Now      func() time.Time // default: the machine's clock
	Progress func(Progress)   // told now and then, by one goroutine at a time; nil: nobody is
}

// Progress tells how far a long act is.
type Progress struct {
	Act         string `json:"act"` // "list", "verify", "repair", "export", "remove"
	Done, Total int    // objects; Total 0: not known
	Bytes       int64  // moved so far
}

// New opens the recordings of a store. The store should retry what is transient, see Retry.
func New(s storage.Store, o Options) *Library {
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.Alive <= 0 {
		o.Alive = 10 * time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Library{s: s, o: o}
}

// RecordingRef names a recording: the app, the stream or group, and the id of its timestamped playlist.
type RecordingRef struct {
	App    string                `json:"app"`
	Stream string                `json:"stream"`
	ID     segmenter.RecordingID `json:"id"`
}

// ParseRecordingRef reads "live/cam-2023-08-24_16-02-52.970", or the path of the recording's playlist.
func ParseRecordingRef(s string) (RecordingRef, error) {
	p := strings.TrimSuffix(s, ".m3u8")
	if app, rest, ok := strings.Cut(p, "/"); ok && !strings.HasPrefix(rest, "streams/") {
		p = app + "/streams/" + rest
	}
	n, ok := segmenter.ParseName(p + ".m3u8")
	if !ok || n.Kind != segmenter.KindArchive {
		return RecordingRef{}, fmt.Errorf("%q is no recording: its name is like live/cam-2023-08-24_16-02-52.970", s)
	}
	return RecordingRef{n.App, n.Stream, n.Recording}, nil
}

// String is the form that ParseRecordingRef reads.
func (r RecordingRef) String() string { return r.App + "/" + r.Stream + "-" + string(r.ID) }

func (r RecordingRef) key() string {
	return segmenter.Name{Kind: segmenter.KindArchive, App: r.App, Stream: r.Stream, Recording: r.ID}.String()
}

func (r RecordingRef) compare(other RecordingRef) int {
	return cmp.Or(strings.Compare(r.App, other.App), strings.Compare(r.Stream, other.Stream), strings.Compare(string(r.ID), string(other.ID)))
}

// folderRef names the folder of one recording's segments. With an archive split several playlists name segments of one.
type folderRef struct {
	app, stream string
	id          segmenter.RecordingID
}

func (f folderRef) prefix() string { return f.app + "/streams/" + f.stream + "/" + string(f.id) + "/" }

func (f folderRef) live() string { return f.prefix() + "live.m3u8" }

// lowLatency is where the same playlist lies again, of a recording with low latency.
func (f folderRef) lowLatency() string { return f.prefix() + segmenter.LowLatencyFile }

func (f folderRef) segment(seq uint64) string { return f.prefix() + segmenter.SegmentFile(seq) }

// archived is a timestamped playlist as it was read.
type archived struct {
	ref    RecordingRef
	object storage.Object
	body   []byte
	media  *m3u8.Media  // nil for a group's playlist, or where err is set
	master *m3u8.Master // of a group
	err    error        // it cannot be read as a playlist
}

// segments calls fn for each segment with the name that its URI leads to; ok is false where that is none of ours.
func (a *archived) segments(fn func(i int, s *m3u8.Segment, n segmenter.Name, ok bool)) {
	for i := range a.media.Segments {
		s := &a.media.Segments[i]
		n, ok := segmenter.ParseName(path.Join(path.Dir(a.object.Key), s.URI))
		fn(i, s, n, ok && n.Kind == segmenter.KindSegment && n.App == a.ref.App)
	}
}

// children are the recordings that a group's playlist names, of those that can be part of it: they are of its app, began with it,
// and it is none of them itself.
func (a *archived) children() (refs []RecordingRef) {
	for _, uri := range masterURIs(a.master) {
		n, ok := segmenter.ParseName(path.Join(path.Dir(a.object.Key), uri))
		if ok && n.Kind == segmenter.KindArchive && n.App == a.ref.App && n.Recording == a.ref.ID && n.Stream != a.ref.Stream {
			refs = append(refs, RecordingRef{n.App, n.Stream, n.Recording})
		}
	}
	return refs
}

func masterURIs(m *m3u8.Master) (uris []string) {
	if m == nil {
		return nil
	}
	for _, v := range m.Variants {
		uris = append(uris, v.URI)
	}
	for _, r := range m.Renditions {
		if r.URI != "" && !slices.Contains(uris, r.URI) {
			uris = append(uris, r.URI)
		}
	}
	return uris
}

// maxPlaylistObject bounds a playlist in memory.
const maxPlaylistObject = m3u8.MaxBytes

// readObject reads a small object whole, and unpacks it where it is stored compressed.
func (l *Library) readObject(ctx context.Context, key string) ([]byte, storage.Object, error) {
	r, o, err := l.s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, o, err
	}
	defer r.Close()
	if o.Size > maxPlaylistObject {
		return nil, o, fmt.Errorf("read %s: %w: over %d bytes", key, errUnreadable, maxPlaylistObject)
	}
	in := io.Reader(r)
	if o.ContentEncoding == "gzip" {
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, o, fmt.Errorf("read %s: %w: %w", key, errUnreadable, err)
		}
		in = z
	}
	body, err := io.ReadAll(io.LimitReader(in, maxPlaylistObject+1))
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if err != nil {
		return nil, o, fmt.Errorf("read %s: %w", key, err)
	}
	if len(body) > maxPlaylistObject {
		return nil, o, fmt.Errorf("read %s: %w: over %d bytes", key, errUnreadable, maxPlaylistObject)
	}
	return body, o, nil
}

// errUnreadable marks an object whose bytes are no playlist.
var errUnreadable = errors.New("not a readable playlist")

// load reads a timestamped playlist. What is there but cannot be read is in err of the result.
func (l *Library) load(ctx context.Context, ref RecordingRef) (*archived, error) {
	a := &archived{ref: ref}
	a.object.Key = ref.key()
	body, o, err := l.readObject(ctx, ref.key())
	if errors.Is(err, errUnreadable) {
		a.object, a.err = o, err
		a.object.Key = ref.key()
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	a.object, a.body = o, body
	a.object.Key = ref.key()
	if bytes.Contains(body, []byte("#EXT-X-STREAM-INF")) {
		a.master, a.err = m3u8.ParseMaster(body)
	} else {
		a.media, a.err = m3u8.ParseMedia(body)
	}
	if a.err == nil && a.media != nil && len(a.folders(maxFolders+1)) > maxFolders {
		a.media, a.err = nil, fmt.Errorf("it names segments of more than %d recordings", maxFolders)
	}
	return a, nil
}

// maxFolders bounds of how many recordings a playlist may name segments. Ours names those of one; each is a listing.
const maxFolders = 64

// folders are those that a playlist's segments lie in, in the order in which it names them, and no more than most of them.
func (a *archived) folders(most int) (list []folderRef) {
	seen := make(map[folderRef]bool)
	a.segments(func(_ int, _ *m3u8.Segment, n segmenter.Name, ok bool) {
		if f := (folderRef{n.App, n.Stream, n.Recording}); ok && len(list) < most && !seen[f] {
			seen[f] = true
			list = append(list, f)
		}
	})
	return list
}

// refs names all timestamped playlists and segment folders of an app, those of one stream where stream is not empty.
func (l *Library) refs(ctx context.Context, app, stream string) (playlists []RecordingRef, folders []folderRef, err error) {
	var streams []string
	err = storage.Browse(ctx, l.s, app+"/streams/", func(o storage.Object) error {
		if name, ok := strings.CutSuffix(o.Key, "/"); ok {
			if name = path.Base(name); segmenter.KnownStream(name) && (stream == "" || stream == name) {
				streams = append(streams, name)
			}
			return nil
		}
		if n, ok := segmenter.ParseName(o.Key); ok && n.Kind == segmenter.KindArchive && (stream == "" || stream == n.Stream) {
			playlists = append(playlists, RecordingRef{n.App, n.Stream, n.Recording})
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for _, name := range streams {
		err := storage.Browse(ctx, l.s, app+"/streams/"+name+"/", func(o storage.Object) error {
			if id := segmenter.RecordingID(path.Base(o.Key)); strings.HasSuffix(o.Key, "/") {
				if _, ok := id.Time(); ok {
					folders = append(folders, folderRef{app, name, id})
				}
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(playlists, RecordingRef.compare)
	slices.SortFunc(folders, folderRef.compare)
	return playlists, folders, nil
}

// loadBatch is how many playlists are read, and in memory, at a time.
const loadBatch = 64

// loadEach reads many playlists, some at once, and hands them on in their order: none is kept for longer than fn keeps it.
// One that has vanished meanwhile is left out.
func (l *Library) loadEach(ctx context.Context, act string, refs []RecordingRef, fn func(*archived)) error {
	p := l.progress(act, len(refs))
	for batch := range slices.Chunk(refs, loadBatch) {
		all := make([]*archived, len(batch))
		err := l.each(ctx, len(batch), func(ctx context.Context, i int) error {
			a, err := l.load(ctx, batch[i])
			if storage.KindOf(err) == storage.Missing {
				err = nil
			}
			all[i] = a
			p.step(0)
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range all {
			if a != nil {
				fn(a)
			}
		}
	}
	return nil
}

// loadAll is loadEach for few, which are kept.
func (l *Library) loadAll(ctx context.Context, act string, refs []RecordingRef) (all []*archived, err error) {
	err = l.loadEach(ctx, act, refs, func(a *archived) { all = append(all, a) })
	return all, err
}

// each calls fn for 0 to n-1, some at once, until one fails.
func (l *Library) each(ctx context.Context, n int, fn func(ctx context.Context, i int) error) error {
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(l.o.Workers)
	for i := range n {
		if each.Err() != nil {
			break
		}
		g.Go(func() error { return fn(each, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// rolling are the rolling playlists of a folder that are there.
type rolling []storage.Object

// has reports whether one is there.
func (r rolling) has(key string) bool {
	return slices.ContainsFunc(r, func(o storage.Object) bool { return o.Key == key })
}

// objects lists a folder: what is a segment by its number, and live.m3u8, its low-latency twin and those of tracks where they are there.
func (l *Library) objects(ctx context.Context, f folderRef) (segments map[uint64]storage.Object, live rolling, err error) {
	c, err := l.contents(ctx, f)
	return c.segments, c.live, err
}

// meter reports progress from many goroutines.
type meter struct {
	mu sync.Mutex
	p  Progress
	to func(Progress)
}

func (l *Library) progress(act string, total int) *meter {
	return &meter{p: Progress{Act: act, Total: total}, to: l.o.Progress}
}

// step counts one more object done.
func (m *meter) step(bytes int64) {
	if m.to == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Done++
	m.p.Bytes += bytes
	m.to(m.p)
}
