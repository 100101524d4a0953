package origin

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
)

// archivedLife is how long a playlist from the archive is served from memory before it is read again.
const archivedLife = 2 * time.Second

// The two reasons for not even asking the archive.
var (
	errNoArchive error = &fs.PathError{Op: "open", Path: "archive", Err: fs.ErrNotExist}
	// ErrOverload means that there is no room for another reader of the archive now: 503. An Archive with a bound of its own wraps it.
	ErrOverload = errors.New("too many readers of the archive")
)

// open opens an object, unless too many others are being opened.
func (o *Origin) open(ctx context.Context, key string) (Object, error) {
	if o.opts.Archive == nil {
		return Object{}, errNoArchive
	}
	if !o.gate.enter(key) {
		o.stats.Overloads.Add(1)
		return Object{}, ErrOverload
	}
	defer o.gate.leave(key)
	return o.opts.Archive.Open(ctx, key)
}

// archivedSheet reads a playlist from the archive, or takes it from the cache.
func (o *Origin) archivedSheet(ctx context.Context, name segmenter.Name) (*sheet, error) {
	key := name.String()
	return cached(ctx, &o.pages, key, func() (*sheet, int64, time.Duration, error) {
		// Others may wait for the same page: the first request must not abort it by leaving.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), archiveTimeout)
		defer cancel()
		p, age, err := o.readPlaylist(ctx, key)
		if err != nil {
			return nil, 0, 0, err
		}
		if ordinary(name.Kind) != segmenter.KindEntry || !usualAge(age) { // an entry does not say its target duration
			age = ageArchived(name.Kind, p.Body)
		}
		return newSheet(p, age), sizeOf(p), archivedLife, nil
	})
}

// unread has a playlist of the archive read anew by who asks for it next.
func (o *Origin) unread(name segmenter.Name) {
	key := name.String()
	o.pages.forget(key)
	if o.opts.Forget != nil {
		o.opts.Forget(func(k string) bool { return k == key })
	}
}

// Loses notes that this server is about to let go of a stream's recording that another one has taken: what was read of it in the archive until now, and
// what other servers have said of it, is older than what viewers have been shown here.
func (o *Origin) Loses(app, stream string, id segmenter.RecordingID) {
	of := func(key string) bool { return strings.Contains(key, string(id)) }
	o.pages.forgetAll(of)
	if o.opts.Forget != nil {
		o.opts.Forget(of)
	}
	if o.opts.Remote != nil {
		o.opts.Remote.Lost(app, stream)
	}
}

func sizeOf(p *segmenter.Playlist) int64 { return int64(len(p.Body) + len(p.Gzip)) }

// archiveTimeout bounds reading one playlist from the archive.
const archiveTimeout = 10 * time.Second

// usualAge reports whether a stored Cache-Control is one that the mirror gives a stable entry.
func usualAge(age string) bool {
	digits, ok := strings.CutPrefix(age, "public, max-age=")
	n, err := strconv.ParseUint(digits, 10, 8)
	return ok && err == nil && n >= 1 && n <= 60
}

// readPlaylist reads a whole playlist from the archive, and the Cache-Control with which it is stored.
func (o *Origin) readPlaylist(ctx context.Context, key string) (p *segmenter.Playlist, age string, err error) {
	obj, err := o.open(ctx, key)
	if err != nil {
		return nil, "", err
	}
	defer obj.Body.Close()
	if obj.Size > o.opts.MaxPlaylist {
		return nil, "", fmt.Errorf("read %s: %d bytes are no playlist: more than %d are not read", key, obj.Size, o.opts.MaxPlaylist)
	}
	work := workOn(&obj, o.opts.MaxPlaylist)
	if !o.pages.lend(work) {
		o.stats.Overloads.Add(1)
		return nil, "", ErrOverload
	}
	defer o.pages.giveBack(work)
	var r io.Reader = io.LimitReader(obj.Body, o.opts.MaxPlaylist+1)
	if obj.Encoding == "gzip" {
		if r, err = gzip.NewReader(r); err != nil {
			return nil, "", fmt.Errorf("read %s: %w", key, err)
		}
		r = io.LimitReader(r, o.opts.MaxPlaylist+1)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", key, err)
	}
	if int64(len(body)) > o.opts.MaxPlaylist {
		return nil, "", fmt.Errorf("read %s: a playlist of more than %d bytes", key, o.opts.MaxPlaylist)
	}
	p, err = newPlaylist(body, obj.Modified)
	return p, obj.Age, err
}

// workOn estimates the memory that reading a playlist takes until it is a page, as text and compressed, in bytes. A compressed playlist is
// assumed to be a twentieth of its text.
func workOn(obj *Object, most int64) int64 {
	size := obj.Size
	if obj.Encoding != "" {
		size *= 20
	}
	return min(size, most) / 4 * 5
}

// newPlaylist compresses a playlist and computes the ETags of both forms.
func newPlaylist(body []byte, modified time.Time) (*segmenter.Playlist, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	tag := hex.EncodeToString(sum[:12])
	return &segmenter.Playlist{
		Body: body, Gzip: b.Bytes(),
		ETag: `"` + tag + `"`, GzipETag: `"` + tag + `-gz"`,
		Modified: modified,
	}, nil
}

// ageArchived returns the Cache-Control of a playlist that is known only by its text.
func ageArchived(kind segmenter.Kind, body []byte) string {
	return kind.Age(targetDuration(body), bytes.Contains(body, []byte("\n#EXT-X-ENDLIST")))
}

// targetDuration returns EXT-X-TARGETDURATION, or 0 if there is none, as in a multivariant playlist.
func targetDuration(body []byte) int {
	_, rest, ok := bytes.Cut(body, []byte("\n#EXT-X-TARGETDURATION:"))
	if !ok {
		return 0
	}
	digits, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(bytes.TrimSpace(digits)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// tableLife is how long the rows of an archived playlist are good for those who want one of them: rows do not change, but by a repair.
const tableLife = 5 * time.Minute

// archivedTable is the table of a recording's playlist in the archive, which may be some minutes old unless it has to be fresh.
func (o *Origin) archivedTable(ctx context.Context, name segmenter.Name, fresh bool) (*table, error) {
	key := "rows of " + name.String()
	if fresh {
		key = "fresh " + key
	}
	t, err := cached(ctx, &o.pages, key, func() (*table, int64, time.Duration, error) {
		sh, err := o.archivedSheet(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, 0, archivedLife, nil
		case err != nil:
			return nil, 0, 0, err
		}
		if isMaster(sh.playlist.Body) {
			return nil, 0, 0, notFoundRemoved
		}
		t, err := parseTable(name, sh.playlist.Body)
		if err != nil {
			return nil, 0, 0, err
		}
		life := tableLife
		if fresh {
			life = archivedLife
		}
		return t, t.size(), life, nil
	})
	var r *refusal
	switch {
	case errors.As(err, &r):
		return nil, r
	case err != nil:
		return nil, o.missing(ctx, name.String(), notFoundRemoved, err)
	case t == nil:
		return nil, notFoundRemoved
	}
	return t, nil
}

// gate bounds how many different objects are being opened in the archive at once. Requests for one object open it together, and an object
// that is already open does not count: a slow viewer keeps nobody else out.
type gate struct {
	max int

	mu   sync.Mutex
	keys map[string]int // how many requests are opening each
}

// enter reports whether a key may be opened now; if so, the caller must call leave.
func (g *gate) enter(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys[key] == 0 && len(g.keys) >= g.max {
		return false
	}
	if g.keys == nil {
		g.keys = make(map[string]int)
	}
	g.keys[key]++
	return true
}

func (g *gate) leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys[key]--; g.keys[key] == 0 {
		delete(g.keys, key)
	}
}
