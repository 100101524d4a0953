package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// owner answers for segments as the test says.
type owner struct {
	mu      sync.Mutex
	needs   map[uint64]Need
	dropped []uint64
}

func (o *owner) Need(seq uint64) Need {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.needs[seq]
}

func (o *owner) Dropped(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped = append(o.dropped, seq)
}

func folder(t *testing.T, s *Spool, o Owner) *Folder {
	t.Helper()
	f, err := s.Folder(testID, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t *testing.T, f *Folder, seq uint64, size int) {
	t.Helper()
	p := bytes.Repeat([]byte{byte(seq)}, size)
	if err := f.Write(seq, int64(size), [][]byte{p[:size/2], p[size/2:]}); err != nil {
		t.Fatal(err)
	}
}

func key(seq uint64) string {
	return fmt.Sprintf("live/streams/cam/%s/%09d.ts", testID.Recording, seq)
}

func present(s *Spool, n uint64) (have []uint64) {
	for seq := range n {
		if f, _, err := s.Open(key(seq)); err == nil {
			f.Close()
			have = append(have, seq)
		}
	}
	return have
}

func TestSpoolWritesAndOpens(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: filepath.Join(dir, "not", "there", "yet")})
	f := folder(t, s, nil)
	write(t, f, 7, 1000)
	in, size, err := s.Open(key(7))
	if err != nil || size != 1000 {
		t.Fatalf("%d bytes, %v", size, err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{7}, 1000)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, k := range []string{key(8), "live/streams/cam/../../../etc/passwd.ts", "/etc/passwd.ts", "live/streams/cam/" + testID.Recording + "/journal", "live/streams/cam", ""} {
		if f, _, err := s.Open(k); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, %v", k, f, err)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "not/there/yet/live/streams/cam/*/*.tmp")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestSpoolRefusesNamesThatLeaveIt(t *testing.T) {
	s := New(Options{Dir: t.TempDir()})
	for _, id := range []ID{{}, {"a", "b", ""}, {"..", "b", "c"}, {"a", "../../../x", "c"}, {"a", "b/c", "d"}, {"a", "..", "c"}} {
		if _, err := s.Folder(id, nil); err == nil {
			t.Errorf("%+v is taken", id)
		}
	}
}

func TestSpoolEvictsInOrderOfNeed(t *testing.T) {
	o := &owner{needs: map[uint64]Need{0: Unsent, 1: Wanted, 2: Free, 3: Unsent, 4: Free, 5: Unsent, 6: Unsent, 7: Unsent}}
	s := New(Options{Dir: t.TempDir(), MaxBytes: 5000})
	f := folder(t, s, o)
	for seq := range uint64(5) {
		write(t, f, seq, 1000)
	}
	for _, step := range []struct {
		write uint64
		want  []uint64
	}{
		{5, []uint64{0, 1, 3, 4, 5}}, // what nobody needs, oldest first
		{6, []uint64{0, 1, 3, 5, 6}},
		{7, []uint64{0, 3, 5, 6, 7}}, // then what the bucket has
	} {
		write(t, f, step.write, 1000)
		if got := present(s, 9); !slices.Equal(got, step.want) {
			t.Fatalf("after %d: %v, want %v", step.write, got, step.want)
		}
	}
	if len(o.dropped) > 0 {
		t.Fatalf("dropped %v", o.dropped)
	}
	write(t, f, 8, 1500) // then what nobody else has
	if got := present(s, 9); !slices.Equal(got, []uint64{5, 6, 7, 8}) || !slices.Equal(o.dropped, []uint64{0, 3}) {
		t.Errorf("%v, dropped %v", got, o.dropped)
	}
	if st := s.Stats(); st.Bytes.Load() != 4500 || st.Dropped.Load() != 2 || st.DroppedBytes.Load() != 2000 || st.Evicted.Load() != 3 || st.Files.Load() != 4 {
		t.Errorf("%d bytes, %d dropped, %d evicted", st.Bytes.Load(), st.Dropped.Load(), st.Evicted.Load())
	}
}

func TestSpoolOpenFileSurvivesEviction(t *testing.T) {
	s := New(Options{Dir: t.TempDir(), MaxBytes: 1000})
	f := folder(t, s, &owner{})
	write(t, f, 0, 1000)
	in, _, err := s.Open(key(0))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	write(t, f, 1, 1000)
	if got := present(s, 2); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("%v", got)
	}
	if p, err := io.ReadAll(in); len(p) != 1000 || err != nil {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}

// A disk that is full below the cap makes room like the cap.
func TestSpoolFullDisk(t *testing.T) {
	room := int64(3000)
	var used int64
	var mu sync.Mutex
	o := &owner{needs: map[uint64]Need{0: Free, 1: Unsent, 2: Unsent, 3: Unsent}}
	files := FS{
		Write: func(f *os.File, p []byte, off int64) error {
			mu.Lock()
			defer mu.Unlock()
			if used+int64(len(p)) > room {
				return &fs.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
			}
			used += int64(len(p))
			_, err := f.WriteAt(p, off)
			return err
		},
		Remove: func(name string) error {
			mu.Lock()
			defer mu.Unlock()
			if info, err := os.Stat(name); err == nil && !info.IsDir() {
				used -= info.Size()
			}
			return os.Remove(name)
		},
	}
	s := New(Options{Dir: t.TempDir(), FS: files})
	f := folder(t, s, o)
	for seq := range uint64(4) {
		write(t, f, seq, 1000)
	}
	if got := present(s, 4); !slices.Equal(got, []uint64{1, 2, 3}) && !slices.Equal(got, []uint64{3}) {
		t.Errorf("%v", got)
	}
	room = 0
	if err := f.Write(9, 10, [][]byte{make([]byte, 10)}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if s.Stats().Errors.Load() == 0 {
		t.Error("not counted")
	}
}

func TestSpoolFailedWriteLeavesNothing(t *testing.T) {
	boom := errors.New("boom")
	dir := t.TempDir()
	for name, files := range map[string]FS{
		"write":  {Write: func(*os.File, []byte, int64) error { return boom }},
		"sync":   {Sync: func(*os.File) error { return boom }},
		"rename": {Rename: func(string, string) error { return boom }},
	} {
		s := New(Options{Dir: dir, FS: files})
		f := folder(t, s, nil)
		if err := f.Write(0, 10, [][]byte{make([]byte, 10)}); !errors.Is(err, boom) {
			t.Errorf("%s: %v", name, err)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "live/streams/cam/*/*")); len(names) > 0 {
			t.Errorf("%s leaves %v", name, names)
		}
	}
}

func journalled(t *testing.T, f *Folder, n uint64) {
	t.Helper()
	var b Batch
	b.Meta(Meta{TargetDuration: 2, Window: 6})
	for seq := range n {
		b.Opened(seq, began)
		b.Row(Row{Sequence: seq, Start: began.Add(time.Duration(seq) * 2 * time.Second), Duration: 180000, Size: 1000, Independent: true})
	}
	if err := f.Rewrite(&b); err != nil {
		t.Fatal(err)
	}
}

func TestSpoolRecovers(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	journalled(t, f, 3)
	write(t, f, 0, 1000)
	write(t, f, 2, 1000)
	var b Batch
	b.Confirmed(0, 0, 1)
	b.Opened(3, began.Add(time.Hour))
	if err := f.Append(&b); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(f.path(".000000003.ts.tmp"), []byte("half"), 0o600)

	s = New(Options{Dir: dir})
	all, err := s.Recover(context.Background())
	if err != nil || len(all) != 1 || !all[0].Trusted {
		t.Fatalf("%+v, %v", all, err)
	}
	st := all[0].State
	if len(st.Rows) != 4 || st.Next != 4 || !st.Rows[3].Unknown || st.Rows[0].Confirmed != 1 || !st.LastFrame.Equal(began.Add(time.Hour)) {
		t.Errorf("%+v", st)
	}
	for i, want := range []bool{true, false, true, false} {
		if st.Rows[i].File != want {
			t.Errorf("row %d: file %v", i, st.Rows[i].File)
		}
	}
	// What was written of a segment that nobody else has is kept.
	if part, err := all[0].Folder.Part(3); err != nil || !slices.Equal(all[0].Parts, []uint64{3}) {
		t.Errorf("parts %v, %v", all[0].Parts, err)
	} else {
		part.Close()
	}
	if s.Stats().Bytes.Load() != 2000 {
		t.Errorf("%d bytes", s.Stats().Bytes.Load())
	}
}

// A file whose row was lost with the journal's torn tail shows that its number was used.
func TestSpoolNeverReusesTheNumberOfAFile(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	journalled(t, f, 3)
	write(t, f, 6, 1000)
	all, err := New(Options{Dir: dir}).Recover(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if st := all[0].State; st.Next != 7 || len(st.Rows) != 7 || !st.Rows[6].Unknown || !st.Rows[6].File || st.Rows[5].File || !st.Rows[5].Unknown {
		t.Errorf("next %d, %d rows", st.Next, len(st.Rows))
	}
}

func TestSpoolRecoverForgetsWhatNobodySaw(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	var b Batch
	b.Opened(0, began)
	if err := f.Rewrite(&b); err != nil {
		t.Fatal(err)
	}
	all, err := New(Options{Dir: dir}).Recover(context.Background())
	if err != nil || len(all) != 0 {
		t.Fatalf("%+v, %v", all, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSpoolRecoverLeavesTheUnreadableAlone(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	good := folder(t, s, &owner{})
	journalled(t, good, 2)
	write(t, good, 0, 1000)
	bad := filepath.Join(dir, "live/streams/dog/2023-08-24_16-02-52.970")
	if err := os.MkdirAll(bad, 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(bad, "journal"), []byte("something else"), 0o600)
	os.WriteFile(filepath.Join(bad, "000000000.ts"), []byte("x"), 0o600)
	later := filepath.Join(dir, "live/streams/owl/2023-08-24_16-02-52.970")
	if err := os.MkdirAll(later, 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(later, "journal"), []byte("hlsorigin journal 2\nand so on"), 0o600)
	os.WriteFile(filepath.Join(later, "000000000.ts"), []byte("x"), 0o600)
	os.WriteFile(filepath.Join(bad, "notes.txt"), []byte("foreign"), 0o600)

	s = New(Options{Dir: dir})
	all, err := s.Recover(context.Background())
	if len(all) != 2 || err == nil {
		t.Fatalf("%d recordings, %v", len(all), err)
	}
	for _, r := range all {
		if r.State.ID.Stream == "dog" && (r.Trusted || len(r.State.Rows) != 1 || !r.State.Rows[0].Unknown || !r.State.Rows[0].File) {
			t.Errorf("%+v", r)
		}
	}
	aside := filepath.Join(dir, ".aside/live/streams/owl/2023-08-24_16-02-52.970")
	if got := s.Aside(); !slices.Equal(got, []string{aside}) || s.Stats().Aside.Load() != 1 || !strings.Contains(err.Error(), aside) {
		t.Errorf("put aside: %v; %v", got, err)
	}
	for _, name := range []string{filepath.Join(bad, "000000000.ts"), filepath.Join(bad, "notes.txt"), filepath.Join(aside, "journal"), filepath.Join(aside, "000000000.ts")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	// The next start still reports it, and another folder with the name can be put beside it.
	if err := os.MkdirAll(later, 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(later, "journal"), []byte("hlsorigin journal 3\n"), 0o600)
	s = New(Options{Dir: dir})
	if _, err := s.Recover(context.Background()); err == nil || !slices.Equal(s.Aside(), []string{aside, aside + ".2"}) {
		t.Errorf("put aside: %v; %v", s.Aside(), err)
	}
}

// Nothing is removed from a folder in which anything is damaged, however little can be read.
func TestSpoolRemovesNothingThatIsDamaged(t *testing.T) {
	b := Batch{buf: []byte(magic)}
	b.begin(testID)
	b.session("boot", Segment)
	b.Opened(0, began)
	b.Meta(Meta{TargetDuration: 2})
	data := slices.Clone(b.buf)
	for i := range data {
		for _, files := range [][]string{{"000000000.ts"}, {".000000000.ts.tmp"}, nil} {
			dir := t.TempDir()
			at := filepath.Join(dir, "live/streams/cam", testID.Recording)
			if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
			for _, name := range files {
				os.WriteFile(filepath.Join(at, name), []byte("x"), 0o600)
			}
			os.WriteFile(filepath.Join(at, "journal"), flip(data, i), 0o600)
			s := New(Options{Dir: dir})
			all, err := s.Recover(context.Background())
			if aside := s.Aside(); len(aside) == 1 && err != nil {
				at = aside[0]
			} else if len(all) != 1 {
				t.Fatalf("byte %d, %v: %d recordings, %v", i, files, len(all), err)
			} else if len(files) > 0 && (len(all[0].State.Rows) != 1 || !all[0].State.Rows[0].Unknown) {
				t.Fatalf("byte %d, %v: rows %+v", i, files, all[0].State.Rows)
			}
			for _, name := range append(files, "journal") {
				if _, err := os.Stat(filepath.Join(at, name)); err != nil {
					t.Fatalf("byte %d: %v", i, err)
				}
			}
		}
	}
}

// A failed sync may have lost its data even if the next one succeeds: the file is not trusted again.
func TestFailedSyncPoisonsTheJournal(t *testing.T) {
	dir := t.TempDir()
	fail, opened := false, 0
	s := New(Options{Dir: dir, FS: FS{
		Sync: func(f *os.File) error {
			if fail {
				fail = false
				return errors.New("input/output error")
			}
			return f.Sync()
		},
		Open: func(name string, flag int) (*os.File, error) {
			if strings.HasSuffix(name, rewriteName) {
				opened++
			}
			return os.OpenFile(name, flag, 0o600)
		},
	}})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	var b Batch
	b.Opened(2, began)
	if err := f.Append(&b); err != nil {
		t.Fatal(err)
	}
	fail = true
	if err := f.Durable(); err == nil || !f.Broken() {
		t.Fatalf("%v, broken %v", err, f.Broken())
	}
	if err := f.Durable(); err != nil {
		t.Fatal("nothing is open:", err)
	}
	was := opened
	if err := f.Append(&b); err == nil {
		t.Error("appended to a file that is not trusted")
	}
	journalled(t, f, 4)
	if opened != was+1 || f.Broken() {
		t.Errorf("%d new files, broken %v", opened-was, f.Broken())
	}
}

// A rewritten journal is on disk before it gets its name, whatever the policy.
func TestRewriteIsSynced(t *testing.T) {
	for _, policy := range []Sync{Always, Segment, Never} {
		var ops []string
		s := New(Options{Dir: t.TempDir(), Sync: policy, FS: FS{
			Sync:   func(f *os.File) error { ops = append(ops, "sync"); return f.Sync() },
			Rename: func(a, b string) error { ops = append(ops, "rename"); return os.Rename(a, b) },
		}})
		journalled(t, folder(t, s, &owner{}), 2)
		if len(ops) < 2 || ops[0] != "sync" || ops[1] != "rename" {
			t.Errorf("%s: %v", policy, ops)
		}
	}
}

// A journal whose write failed halfway continues after its intact part.
func TestFolderAppendsAgainAfterAFailure(t *testing.T) {
	fail := false
	dir := t.TempDir()
	s := New(Options{Dir: dir, FS: FS{Write: func(f *os.File, p []byte, off int64) error {
		if fail {
			f.WriteAt(p[:len(p)/2], off)
			return errors.New("half of it")
		}
		_, err := f.WriteAt(p, off)
		return err
	}}})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	write(t, f, 0, 1000)
	fail = true
	for seq := range uint64(3) {
		var b Batch
		b.Confirmed(0, seq, 1)
		b.Opened(seq+2, began)
		if f.Append(&b) == nil {
			t.Fatal("no error")
		}
	}
	fail = false
	if err := f.Append(&Batch{}); err != nil {
		t.Fatal(err)
	}
	all, err := New(Options{Dir: dir}).Recover(context.Background())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if st := all[0].State; st.Next != 5 || st.Rows[1].Confirmed != 1 {
		t.Errorf("%+v", st)
	}
}

func TestFolderNoticesThatItsJournalWasTakenAway(t *testing.T) {
	dir := t.TempDir()
	fail := false
	s := New(Options{Dir: dir, FS: FS{Write: func(f *os.File, p []byte, off int64) error {
		if fail {
			return errors.New("gone")
		}
		_, err := f.WriteAt(p, off)
		return err
	}}})
	f := folder(t, s, &owner{})
	journalled(t, f, 2)
	if err := os.RemoveAll(filepath.Join(dir, "live")); err != nil {
		t.Fatal(err)
	}
	fail = true
	var b Batch
	b.Opened(2, began)
	if f.Append(&b) == nil || !f.Broken() {
		t.Fatalf("broken: %v", f.Broken())
	}
	fail = false
	journalled(t, f, 3)
	write(t, f, 2, 1000)
	all, err := New(Options{Dir: dir}).Recover(context.Background())
	if err != nil || len(all) != 1 || len(all[0].State.Rows) != 3 {
		t.Fatal(all, err)
	}
}

func TestFinishedRecordingsAreCountedAndEvicted(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Dir: dir})
	f := folder(t, s, &owner{})
	journalled(t, f, 3)
	for seq := range uint64(3) {
		write(t, f, seq, 1000)
	}
	if err := f.Finish(); err != nil {
		t.Fatal(err)
	}
	s = New(Options{Dir: dir, MaxBytes: 2500})
	if all, err := s.Recover(context.Background()); err != nil || len(all) != 0 {
		t.Fatal(all, err)
	}
	if err := s.Inventory(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := present(s, 3); len(got) != 2 {
		t.Errorf("%v", got)
	}
	next, err := s.Folder(ID{"live", "dog", "2023-08-25_00-00-00.000"}, &owner{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, next, 0, 2000)
	if _, err := os.Stat(filepath.Join(dir, "live/streams/cam")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the empty folder is still there: %v", err)
	}
}

// A segment that grew on disk is completed with what it lacks; one that was restarted, or whose beginning was removed, is written in full.
func TestSegmentGrows(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789"), 100)
	cut := func(p []byte, at ...int) (parts [][]byte) {
		from := 0
		for _, n := range append(at, len(p)) {
			parts = append(parts, p[from:n])
			from = n
		}
		return parts
	}
	for name, begin := range map[string]func(f *Folder){
		"not at all": func(f *Folder) {},
		"in parts": func(f *Folder) {
			f.Grow(7, cut(whole[:100], 30))
			f.Grow(7, cut(whole[100:555], 1, 200))
		},
		"to its end": func(f *Folder) { f.Grow(7, [][]byte{whole}) },
		"begun anew": func(f *Folder) {
			f.Grow(7, [][]byte{[]byte("something else")})
			f.Abandon(7)
			f.Grow(7, cut(whole[:9]))
		},
		"taken away":   func(f *Folder) { f.Grow(7, cut(whole[:200])); os.Remove(f.path(".000000007.ts.tmp")) },
		"far too much": func(f *Folder) { f.Grow(7, [][]byte{whole, whole}) },
	} {
		written := 0
		s := New(Options{Dir: t.TempDir(), FS: FS{Write: func(f *os.File, p []byte, off int64) error {
			written += len(p)
			_, err := f.WriteAt(p, off)
			return err
		}}})
		f := folder(t, s, nil)
		begin(f)
		if name == "in parts" && f.Grown(7) != 555 {
			t.Errorf("%s: %d bytes have grown", name, f.Grown(7))
		}
		if _, _, err := s.Open(key(7)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: seen before it is whole", name)
		}
		if err := f.Write(7, int64(len(whole)), cut(whole, 13, 13, 400)); err != nil {
			t.Fatal(name, err)
		}
		got, err := os.ReadFile(f.path("000000007.ts"))
		if err != nil || !bytes.Equal(got, whole) || f.Grown(7) != 0 {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if name == "in parts" && written != len(whole) {
			t.Errorf("%s: %d bytes written for %d", name, written, len(whole))
		}
		if names, _ := filepath.Glob(f.path(".*.tmp")); len(names) > 0 {
			t.Errorf("%s leaves %v", name, names)
		}
	}
}

// Growing waits for the disk only if every record does.
func TestGrowingSyncsUnderAlwaysAlone(t *testing.T) {
	for policy, want := range map[Sync]int{Always: 1, Segment: 0, Never: 0} {
		n := 0
		s := New(Options{Dir: t.TempDir(), Sync: policy, FS: FS{Sync: func(f *os.File) error { n++; return nil }, SyncDir: func(string) error { return nil }}})
		if err := folder(t, s, nil).Grow(0, [][]byte{[]byte("x")}); err != nil || n != want {
			t.Errorf("%s: %d syncs, %v", policy, n, err)
		}
	}
}

// Who writes beside the spool gets room of what the buckets have, and never the only copy of a segment.
func TestSpoolSparesWhatIsUnsent(t *testing.T) {
	s := New(Options{Dir: t.TempDir()})
	o := &owner{needs: map[uint64]Need{0: Unsent, 1: Wanted, 2: Free, 3: Unsent}}
	f := folder(t, s, o)
	for seq := range uint64(4) {
		write(t, f, seq, 1000)
	}
	if !s.Spare(1) || fmt.Sprint(present(s, 4)) != "[0 3]" {
		t.Errorf("left: %v", present(s, 4))
	}
	if s.Spare(1) || fmt.Sprint(present(s, 4)) != "[0 3]" || len(o.dropped) != 0 || s.Stats().Dropped.Load() != 0 || s.Stats().Evicted.Load() != 2 {
		t.Errorf("left: %v; dropped: %v", present(s, 4), o.dropped)
	}
}

// What lies beside the recordings, as segments that wait for their playlist, is none of the spool's.
func TestSpoolLeavesItsNeighboursAlone(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, ".held", "streams", "cam", testID.Recording, "000000000.ts")
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte("x"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Dir: dir})
	all, err := s.Recover(t.Context())
	if err = errors.Join(err, s.Inventory(t.Context())); len(all) != 0 || err != nil || len(s.Aside()) != 0 || s.Stats().Files.Load() != 0 {
		t.Errorf("%d recordings, %v, %v put aside, %d files", len(all), err, s.Aside(), s.Stats().Files.Load())
	}
	if _, err := os.Stat(name); err != nil {
		t.Error(err)
	}
}
