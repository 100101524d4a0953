package httpput

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/auth"
	"github.com/hlsorigin/hlsorigin/segmenter"
)

// shelf keeps what it is given, as a disk does: what became of it, by file.
type shelf struct {
	t     *testing.T
	all   []*Held
	fates map[*Held]string // "passed", "dropped"; none: it is kept
}

func newShelf(t *testing.T) *shelf { return &shelf{t: t, fates: map[*Held]string{}} }

func (s *shelf) keep(h *Held) func(bool) {
	s.all = append(s.all, h)
	return func(passed bool) {
		if s.fates[h] != "" {
			s.t.Errorf("%s is given up twice", h.File)
		}
		s.fates[h] = map[bool]string{true: "passed", false: "dropped"}[passed]
	}
}

func (s *shelf) on(o *Options) { o.Keep = s.keep }

// kept are the files with a fate, in the order in which they came.
func (s *shelf) files(fate string) string {
	var all []string
	for _, h := range s.all {
		if s.fates[h] == fate {
			all = append(all, h.File)
		}
	}
	return strings.Join(all, " ")
}

// next is the server after one that died, with its recordings, and what it had on its shelf: what was passed on is in a recording.
func (s *shelf) next(t *testing.T, h *house) (*house, *shelf) {
	t.Helper()
	after := newShelf(t)
	app := simple()
	app.Groups = map[string][]string{"hall": {"hall_a", "hall_b"}}
	n := newHouse(t, app, auth.App{Open: true}, after.on)
	n.now = h.clock().Add(2 * time.Second)
	for _, tl := range h.reg.Timelines() {
		r := tl.Snapshot()
		if err := n.reg.Restore(segmenter.Recovered{
			Key: r.Key, Recording: r.Recording, TargetDuration: r.TargetDuration, Base: r.Base, Rows: r.Rows, Next: r.Next(), Variant: r.Variant, LastFrame: r.LastFrame,
		}); err != nil {
			t.Fatal(err)
		}
	}
	for i := len(s.all) - 1; i >= 0; i-- {
		held := s.all[i]
		switch s.fates[held] {
		case "passed":
			n.s.RestoreListed(held)
		case "":
			after.all = append(after.all, held)
			if !n.s.Restore(held, func(passed bool) { after.fates[held] = map[bool]string{true: "passed", false: "dropped"}[passed] }) {
				t.Errorf("%s is not taken up", held.File)
			}
		}
	}
	return n, after
}

// TestKept: a segment is kept from before its answer on, until it is passed on, or dropped.
func TestKept(t *testing.T) {
	d := newShelf(t)
	h := newHouse(t, simple(), auth.App{Open: true}, d.on)
	st := film(t, 5, 1)
	h.put("/live/show/seg0.ts", string(st.segments[0]))
	if len(d.all) != 1 || d.files("") != "seg0.ts" || !bytes.Equal(d.all[0].Body, st.segments[0]) || d.all[0].At != h.clock() || d.all[0].Host != "127.0.0.1" {
		t.Fatalf("kept: %q", d.files(""))
	}
	h.put("/live/show/seg0.ts", string(st.segments[0])) // a retry
	h.put("/live/show/index.m3u8", st.page(0, 0, 5, numbered))
	h.pass(3 * time.Second)
	h.send(st, 1)
	h.put("/live/show/seg2.ts", string(st.segments[2]))
	h.put("/live/show/other.ts", string(st.segments[3]))
	if d.files("") != "seg2.ts other.ts" || d.files("passed") != "seg0.ts seg1.ts" || d.files("dropped") != "seg0.ts" {
		t.Errorf("kept: %q, passed on: %q, dropped: %q", d.files(""), d.files("passed"), d.files("dropped"))
	}
	h.put("/live/show/index.m3u8", st.page(0, 2, 5, numbered))
	h.pass(20 * time.Second)
	h.put("/live/show/index.m3u8", st.page(0, 2, 5, numbered))
	h.pass(45 * time.Second)
	if d.files("") != "" || d.files("dropped") != "seg0.ts other.ts" {
		t.Errorf("a minute later: kept: %q, dropped: %q", d.files(""), d.files("dropped"))
	}
	h.put("/live/show/seg3.ts", string(st.segments[3]))
	if w := h.from("127.0.0.1:1", http.MethodPut, "/live/show/bad.ts", "bad"); w.Code != http.StatusUnsupportedMediaType || len(d.all) != 6 {
		t.Errorf("%d; %d were kept", w.Code, len(d.all))
	}
	h.pass(time.Minute)
	if d.files("") != "" {
		t.Errorf("its sender has left, and is kept: %q", d.files(""))
	}
}

// TestKeptNowhere: where nothing can be kept, everything is as it is without.
func TestKeptNowhere(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Open: true}, func(o *Options) { o.Keep = func(*Held) func(bool) { return nil } })
	st := film(t, 4, 1)
	for i := range st.segments {
		h.send(st, i)
		h.pass(2 * time.Second)
	}
	_, bodies := h.listed("show")
	equal(t, bodies, st.segments)
}

// TestDied: the server dies at every moment between two segments; the one after it lists what the sender was told had been taken, once, whether
// the sender repeats it or not.
func TestDied(t *testing.T) {
	st := film(t, 8, 1)
	for name, c := range map[string]struct {
		named  bool // the playlist has come
		repeat bool // the segment comes again
		page   bool // and the playlist
	}{
		"before the playlist":                             {},
		"before the playlist, the segment comes again":    {repeat: true},
		"after the playlist":                              {named: true},
		"after the playlist, which comes again":           {named: true, page: true},
		"after the playlist, both come again":             {named: true, repeat: true, page: true},
		"after the playlist, the segment alone once more": {named: true, repeat: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newShelf(t)
			h := newHouse(t, simple(), auth.App{Open: true}, d.on)
			for i := range 4 {
				h.send(st, i)
				h.pass(2 * time.Second)
			}
			h.put("/live/show/seg4.ts", string(st.segments[4]))
			if c.named {
				h.put("/live/show/index.m3u8", st.page(0, 4, 5, numbered))
			}
			_, before := h.listed("show")
			n, after := d.next(t, h)
			if c.repeat {
				n.put("/live/show/seg4.ts", string(st.segments[4]))
			}
			if !c.named || c.page {
				n.put("/live/show/index.m3u8", st.page(0, 4, 5, numbered))
			}
			n.pass(2 * time.Second)
			for i := 5; i < 8; i++ {
				n.send(st, i)
				n.pass(2 * time.Second)
			}
			n.pass(3 * time.Second)
			_, bodies := n.listed("show")
			equal(t, append(before, bodies...), st.segments)
			n.pass(90 * time.Second)
			if after.files("") != "" {
				t.Errorf("kept still: %q", after.files(""))
			}
		})
	}
}

// TestLadderDied: the server dies when one rung's playlist has come and the other's has not. Both go on with what was sent.
func TestLadderDied(t *testing.T) {
	st := film(t, 6, 1)
	d, again := newShelf(t), (*shelf)(nil)
	h, _ := d.next(t, newHouse(t, simple(), auth.App{Open: true})) // with a ladder
	h.s.o.Keep = d.keep
	send := func(i int, playlists string) {
		for _, rung := range []string{"a/", "b/"} {
			h.put("/live/hall/"+rung+numbered(i), string(st.segments[i]))
		}
		for _, rung := range []string{"a/", "b/"} {
			if strings.Contains(playlists, rung) {
				h.put("/live/hall/"+rung+"index.m3u8", st.page(0, i, 5, numbered))
			}
		}
		h.pass(2 * time.Second)
	}
	for i := range 3 {
		send(i, "a/ b/")
	}
	send(3, "a/")
	_, a := h.listed("hall_a")
	_, b := h.listed("hall_b")
	h, again = d.next(t, h)
	for i := 4; i < 6; i++ {
		send(i, "a/ b/")
	}
	h.pass(3 * time.Second)
	rowsA, afterA := h.listed("hall_a")
	rowsB, afterB := h.listed("hall_b")
	for _, all := range [][][]byte{append(a, afterA...), append(b, afterB...)} {
		equal(t, slices.DeleteFunc(all, func(b []byte) bool { return b == nil }), st.segments)
	}
	if len(rowsA) != 7 || len(rowsB) != 7 {
		t.Errorf("%d and %d rows, where one rung was a segment behind", len(rowsA), len(rowsB))
	}
	for i := range min(len(rowsA), len(rowsB)) {
		if a, b := rowsA[i], rowsB[i]; !a.Gap && !b.Gap && a.CRC32C != b.CRC32C {
			t.Errorf("row %d is of another moment in each rung", i)
		}
	}
	if again.files("") != "" {
		t.Errorf("kept still: %q", again.files(""))
	}
}

// TestNeverBack: the sender of what was taken up does not come back. It is let go of, and counted, and its place is free meanwhile.
func TestNeverBack(t *testing.T) {
	d := newShelf(t)
	h := newHouse(t, simple(), auth.App{Open: true}, d.on)
	st := film(t, 4, 1)
	h.put("/live/show/seg0.ts", string(st.segments[0]))
	n, after := d.next(t, h)
	if n.s.Stats.Restored.Load() != 1 || n.s.Stats.Held.Load() != 1 {
		t.Error("it is not taken up")
	}
	for i := 1; i < 4; i++ { // another sender has the stream meanwhile
		for file, body := range map[string]string{numbered(i): string(st.segments[i])} {
			if w := n.from("10.0.0.9:1", http.MethodPut, "/live/show/"+file, body); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		n.from("10.0.0.9:1", http.MethodPut, "/live/show/index.m3u8", st.page(0, i, 5, numbered))
		n.pass(2 * time.Second)
	}
	_, bodies := n.listed("show")
	equal(t, bodies, st.segments[1:])
	if w := n.from("127.0.0.1:1", http.MethodPut, "/live/show/"+numbered(1), string(st.segments[1])); w.Code != http.StatusConflict {
		t.Errorf("it comes back when another, with another right, has the stream: %d", w.Code)
	}
	n.pass(HeldFor)
	if after.files("") != "" || n.s.Stats.Held.Load() != 0 || n.s.Stats.Unnamed.Load() != 1 || !strings.Contains(n.logged(), "has not come back") {
		t.Errorf("kept: %q; %d held, %d unnamed", after.files(""), n.s.Stats.Held.Load(), n.s.Stats.Unnamed.Load())
	}
}

// TestRestoredLate: the sender comes back after minutes: what was held waits for its playlist as if it had just come.
func TestRestoredLate(t *testing.T) {
	d := newShelf(t)
	h := newHouse(t, simple(), auth.App{Open: true}, d.on)
	st := film(t, 3, 1)
	h.put("/live/show/seg0.ts", string(st.segments[0]))
	n, _ := d.next(t, h)
	n.pass(4 * time.Minute)
	n.put("/live/show/seg1.ts", string(st.segments[1]))
	n.pass(30 * time.Second)
	n.put("/live/show/index.m3u8", st.page(0, 1, 5, numbered))
	n.pass(3 * time.Second)
	_, bodies := n.listed("show")
	equal(t, bodies, st.segments[:2])
}

// TestSenderBeginsAnew: the sender that comes back has begun to count anew, so that what was held is never named: its show does not wait for that.
func TestSenderBeginsAnew(t *testing.T) {
	d := newShelf(t)
	h := newHouse(t, simple(), auth.App{Open: true}, d.on)
	old, st := film(t, 1, 1), film(t, 2, 2)
	h.put("/live/show/live57.ts", string(old.segments[0]))
	n, _ := d.next(t, h)
	n.send(st, 0)
	n.pass(2 * time.Second)
	n.send(st, 1)
	n.pass(time.Second)
	_, bodies := n.listed("show")
	equal(t, bodies, st.segments)
}

// TestKeptOverAStop: a stop in good order leaves what no playlist has named to the next process, and what has been named is listed.
func TestKeptOverAStop(t *testing.T) {
	d := newShelf(t)
	h := newHouse(t, simple(), auth.App{Open: true}, d.on)
	st := film(t, 3, 1)
	h.send(st, 0)
	h.pass(2 * time.Second)
	h.send(st, 1)
	h.put("/live/show/seg2.ts", string(st.segments[2]))
	h.s.endAll(ingest.ErrShutdown)
	if d.files("") != "seg2.ts" || d.files("passed") != "seg0.ts seg1.ts" || h.s.Stats.Unnamed.Load() != 0 {
		t.Errorf("kept: %q, passed on: %q; unnamed: %d", d.files(""), d.files("passed"), h.s.Stats.Unnamed.Load())
	}
}

// TestRepackedIsNotKept: where segments are cut anew, the next process could not tell whether a recording has one, so what was passed on is not
// kept; nor is what a sender sends that stands by.
func TestRepackedIsNotKept(t *testing.T) {
	d := newShelf(t)
	app := simple()
	app.LowLatency = true
	h := newHouse(t, app, auth.App{Keys: map[string]string{"show": "secret"}}, d.on)
	st := film(t, 4, 1)
	for i := range st.segments {
		for _, from := range []string{"192.0.2.1:1", "192.0.2.2:1"} {
			h.from(from, http.MethodPut, "/live/show/"+numbered(i)+"?key=secret", string(st.segments[i]))
			if i > 0 && from == "192.0.2.2:1" && d.files("") != "" {
				t.Errorf("kept of who stands by: %q", d.files(""))
			}
			h.from(from, http.MethodPut, "/live/show/index.m3u8?key=secret", st.page(0, i, 5, numbered))
		}
		h.pass(2 * time.Second)
	}
	if d.files("passed") != "" || h.s.Stats.Remuxed.Load() == 0 {
		t.Errorf("passed on: %q; %d were cut anew", d.files("passed"), h.s.Stats.Remuxed.Load())
	}
}

// TestSendersOfOneAddress: two senders behind one address are told apart by their users: the second stands by, and goes on when the first falls
// silent. One that names its user in some addresses alone is one, and so is one that comes back.
func TestSendersOfOneAddress(t *testing.T) {
	basic := func(user string) []string {
		r, _ := http.NewRequest(http.MethodPut, "/", nil)
		r.SetBasicAuth(user, "secret")
		return []string{"Authorization", r.Header.Get("Authorization")}
	}
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "secret"}})
	st, other := film(t, 20, 1), film(t, 20, 9)
	send := func(port, user string, st *studio, i int) {
		t.Helper()
		if w := h.from("192.0.2.1:"+port, http.MethodPut, "/live/show/"+numbered(i), string(st.segments[i]), basic(user)...); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", user, w.Code, w.Body)
		}
		path, header := "/live/show/index.m3u8", basic(user)
		if user == "a" && i == 3 {
			path, header = path+"?key=secret", nil
		}
		if w := h.from("192.0.2.1:"+port, http.MethodPut, path, st.page(0, i, 5, numbered), header...); w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", user, w.Code, w.Body)
		}
	}
	for i := range 20 {
		if i < 10 {
			send([]string{"100", "200"}[i/5], "a", st, i) // it comes back from another port
		}
		send("300", "b", other, i)
		h.pass(2 * time.Second)
	}
	rows, bodies := h.listed("show")
	equal(t, bodies, append(append([][]byte{}, st.segments[:10]...), other.segments[10:]...))
	for i, e := range rows {
		if e.Discontinuity != (i == 10) {
			t.Errorf("row %d: %+v", i, e)
		}
	}
	if n := h.s.Stats.Takeovers.Load(); n != 1 {
		t.Errorf("%d takeovers", n)
	}
}

// TestUserNamedLater: a sender whose first address names no user, and the others do, is one.
func TestUserNamedLater(t *testing.T) {
	h := newHouse(t, simple(), auth.App{Keys: map[string]string{"show": "secret"}})
	st := film(t, 4, 1)
	for i := range st.segments {
		for _, f := range []struct{ path, body string }{{numbered(i) + "?key=secret", string(st.segments[i])}, {"index.m3u8?user=me&key=secret", st.page(0, i, 5, numbered)}} {
			if w := h.from("192.0.2.1:1", http.MethodPut, "/live/show/"+f.path, f.body); w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
		h.pass(2 * time.Second)
	}
	_, bodies := h.listed("show")
	equal(t, bodies, st.segments)
}
