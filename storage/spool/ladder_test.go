package spool

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A ladder's journal survives damage to any of its bytes, and more: it says everything twice.
func TestLadderJournalDamagedAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	id := ID{App: "live", Stream: "show", Recording: "2023-08-24_16-02-52.970"}
	s := New(Options{Dir: dir, FS: FS{}})
	f, err := s.Folder(id, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Ladder{TargetDuration: 2, Entry: strings.Repeat("#EXT-X-STREAM-INF\n", 300), Archive: "whole", Names: []string{id.Recording}, LowLatency: true}
	doubt := Doubt{Target: 1, Key: "live/streams/show.m3u8", Body: [32]byte{1, 2, 3}}
	var b Batch
	for range 2 {
		b.Ladder(want)
		b.Ended()
		b.Superseded()
		b.Doubt(doubt)
	}
	if err := f.Rewrite(&b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "live", "streams", "show", id.Recording, journalName)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at += 1 + at/100 {
		st, _, err := Read(flip(good, at))
		if at < len(magic) && err != nil {
			continue // it may then be of another version
		}
		if err != nil || st.Ladder == nil || !reflect.DeepEqual(*st.Ladder, want) || !st.Ended || !st.Superseded || !slices.Equal(st.Doubts, []Doubt{doubt}) {
			t.Fatalf("byte %d: %v, %+v", at, err, st)
		}
	}
	found, err := New(Options{Dir: dir}).Recover(context.Background())
	if err != nil || len(found) != 1 || found[0].State.Ladder == nil || found[0].State.ID != id {
		t.Fatalf("%v, %+v", err, found)
	}
	if err := found[0].Folder.Finish(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "live")); !os.IsNotExist(err) {
		t.Errorf("what is over is still there: %v", err)
	}
}

// A journal withdraws doubts, only for that target and that playlist.
func TestJournalIsSureAgain(t *testing.T) {
	b := Batch{buf: []byte(magic)}
	b.begin(ID{App: "live", Stream: "cam", Recording: "2023-08-24_16-02-52.970"})
	for target := range 2 {
		for _, key := range []string{"a", "b"} {
			b.Doubt(Doubt{Target: target, Key: key})
			b.Doubt(Doubt{Target: target, Key: key, Body: [32]byte{1}})
			b.Doubt(Doubt{Target: target, Key: key})
		}
	}
	b.Sure(0, "b")
	st, _, err := Read(b.buf)
	if err != nil || len(st.Doubts) != 6 || slices.ContainsFunc(st.Doubts, func(d Doubt) bool { return d.Target == 0 && d.Key == "b" }) {
		t.Errorf("%v, %+v", err, st.Doubts)
	}
}

// A folder that contains only what a later version knows is put aside, and not taken for an empty one.
func TestJournalOfALaterKindIsPutAside(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f, err := s.Folder(ID{App: "live", Stream: "x", Recording: "2023-08-24_16-02-52.970"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	at := b.open(recLast + 7)
	b.text("something new")
	b.seal(at)
	if err := f.Rewrite(&b); err != nil {
		t.Fatal(err)
	}
	s = New(Options{Dir: dir})
	found, err := s.Recover(context.Background())
	if err == nil || len(found) != 0 || len(s.Aside()) != 1 {
		t.Errorf("%v, %+v, aside: %v", err, found, s.Aside())
	}
}
