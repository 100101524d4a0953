package mirror_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// remains is what a server left behind: its spool, and its bucket.
type remains struct {
	dir      string
	objects  map[string]stored
	sequence map[string]uint32 // the checksum of each segment that viewers were shown, by its key
	journal  string            // path within dir
	end      time.Time         // of its life
}

// leave is a life of a minute that is killed. The first segments are only in the bucket, some in both places, and the last only on disk.
func leave(t *testing.T, policy spool.Sync) (left remains) {
	to := t.TempDir()
	bubble(t, func(t *testing.T, r *rig) {
		r.bucket.whole = true
		r.so.Sync, r.so.BootID = policy, "a"
		l := newLife(t, r.fault, nil, -1)
		r.so.FS, r.o.Store = l.fs(), l
		r.start()
		e := r.publish("cam", 3000)
		e.run(13 * time.Second)
		r.fault.set(errAway)
		e.run(8 * time.Second)
		time.Sleep(500 * time.Millisecond)
		l.mu.Lock()
		l.dead = true
		l.mu.Unlock()
		s := r.reg.Timeline("live", "cam").Snapshot()
		_ = r.stop()
		r.stop = nil
		left = remains{dir: to, objects: maps.Clone(r.bucket.objects), sequence: map[string]uint32{}, end: time.Now()}
		for i := range s.Rows {
			n := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: s.Recording, Sequence: s.Rows[i].Sequence}
			left.sequence[n.String()] = s.Rows[i].CRC32C
		}
		left.journal = filepath.Join("live/streams/cam", string(s.Recording), "journal")
		for i := range uint64(3) {
			if err := os.Remove(filepath.Join(r.dir, filepath.Dir(left.journal), segmenter.SegmentFile(i))); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.CopyFS(left.dir, os.DirFS(r.dir)); err != nil {
			t.Fatal(err)
		}
	})
	return left
}

// recordsOf returns where the records of a journal begin, and where the last one ends.
func recordsOf(t *testing.T, data []byte) (at []int) {
	t.Helper()
	for p := len("hlsorigin journal 1\n"); p < len(data); p += 3 + int(binary.LittleEndian.Uint16(data[p:])) + 4 {
		at = append(at, p)
	}
	return append(at, len(data))
}

// Every record of a journal is damaged in turn, by a flipped bit, a hole, and a cut, under every policy. After a start no segment that
// bucket or disk has is a gap, for viewers or in the archive; no number means two things; nothing is removed.
func TestEveryRecordDamaged(t *testing.T) {
	step := max(1, int(0.7/scale()))
	for p, policy := range []spool.Sync{spool.Always, spool.Segment, spool.Never} {
		left := leave(t, policy)
		journal, err := os.ReadFile(filepath.Join(left.dir, left.journal))
		if err != nil {
			t.Fatal(err)
		}
		at := recordsOf(t, journal)
		if len(at) < 30 || len(left.sequence) < 9 {
			t.Fatalf("%d records, %d segments: this tests nothing", len(at), len(left.sequence))
		}
		n := p
		for k := range len(at) - 1 {
			from, to := at[k], at[k+1]
			for _, d := range []struct {
				name string
				bad  []byte
			}{
				{"flip", edited(journal, func(b []byte) []byte { b[from+3] ^= 0x10; return b })},
				{"hole", edited(journal, func(b []byte) []byte { clear(b[from:to]); return b })},
				{"cut before", journal[:from]},
				{"cut inside", journal[:(from+to)/2]},
			} {
				if n++; n%step != 0 {
					continue
				}
				name := fmt.Sprintf("%s, record %d of %d, kind %d, %s", policy, k, len(at)-1, journal[from+2], d.name)
				if testing.Verbose() {
					t.Log(name)
				}
				recoverDamaged(t, name, left, policy, d.bad, false)
				if from > len(journal)/4 {
					recoverDamaged(t, name+", the bucket away", left, policy, d.bad, true)
				}
			}
		}
	}
}

// A crash between the last byte of a segment and the renaming of its file costs nothing: the row says how much of the file counts, and
// whether it is all there.
func TestCrashBeforeTheRenaming(t *testing.T) {
	for _, policy := range []spool.Sync{spool.Always, spool.Segment, spool.Never} {
		for name, more := range map[string]string{"as it was": "", "with more behind it": "left from before"} {
			left := leave(t, policy)
			journal, err := os.ReadFile(filepath.Join(left.dir, left.journal))
			if err != nil {
				t.Fatal(err)
			}
			whole, err := filepath.Glob(filepath.Join(left.dir, filepath.Dir(left.journal), "*.ts"))
			if err != nil || len(whole) < 3 {
				t.Fatal(whole, err)
			}
			last := whole[len(whole)-1]
			body, err := os.ReadFile(last)
			if err != nil {
				t.Fatal(err)
			}
			temp := filepath.Join(filepath.Dir(last), "."+filepath.Base(last)+".tmp")
			if err := errors.Join(os.Remove(last), os.WriteFile(temp, append(body, more...), 0o600)); err != nil {
				t.Fatal(err)
			}
			recoverDamaged(t, string(policy)+", "+name, left, policy, journal, false)
		}
	}
}

// A missing file that the journal lists is reported, with what became of it, in the one line that a start writes for a recording.
func TestMissingFilesAreToldOf(t *testing.T) {
	for _, c := range []struct {
		name         string
		gone, stored int // files; those of them that the bucket has
		level        string
	}{
		{"lost", 2, 0, "level=ERROR"},
		{"some of them in the bucket", 2, 1, "level=ERROR"},
		{"all of them in the bucket", 2, 2, "level=WARN"},
		{"none", 0, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				files := r.recordAway(3000)
				r.fault.set(nil)
				for i, name := range files[3 : 3+c.gone] {
					if body, err := os.ReadFile(name); err != nil || os.Remove(name) != nil {
						t.Fatal(err)
					} else if i < c.stored {
						key, _ := filepath.Rel(r.dir, name)
						a := storage.AttributesOf(segmenter.KindSegment, 0, true)
						if _, err := r.bucket.Put(t.Context(), filepath.ToSlash(key), bytes.NewReader(body), a); err != nil {
							t.Fatal(err)
						}
					}
				}
				log := &said{}
				r.o.Log = slog.New(slog.NewTextHandler(log, nil))
				r.start()
				text := log.String()
				lines := strings.Count(text, "missing_files=")
				if c.gone == 0 {
					if lines != 0 {
						t.Error(text)
					}
				} else {
					want := fmt.Sprintf("missing_files=%d found_on_disk=0 taken_up_short=0 found_in_the_bucket=%d still_asked_for=0 lost=%d", c.gone, c.stored, c.gone-c.stored)
					if lines != 1 || !strings.Contains(text, c.level) || !strings.Contains(text, want) || !strings.Contains(text, "first_missing=3") {
						t.Errorf("%s\nwant one line, %s %s", text, c.level, want)
					}
				}
				r.settled(time.Minute)
				r.complete(10, c.gone-c.stored)
			})
		})
	}
}

// A file that the journal lists and that was not written yet is made of bytes that somebody else keeps, and of no others.
func TestMissingFilesAreMadeOfWhatIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		files := r.recordAway(3000)
		kept, err := os.ReadFile(files[5])
		if err := errors.Join(err, os.Remove(files[4]), os.Remove(files[5])); err != nil {
			t.Fatal(err)
		}
		asked := 0
		r.o.Kept = func(size int64, crc32c uint32) []byte {
			asked++
			if size != int64(len(kept)) || crc32c != crc32.Checksum(kept, crc32.MakeTable(crc32.Castagnoli)) {
				return nil
			}
			return kept
		}
		r.fault.set(nil)
		r.start()
		r.settled(time.Minute)
		r.complete(10, 1)
		key, _ := filepath.Rel(r.dir, files[5])
		if got, err := os.ReadFile(files[5]); err != nil || !bytes.Equal(got, kept) || asked != 2 || !slices.Contains(r.bucket.keys(".ts"), filepath.ToSlash(key)) {
			t.Errorf("%d bytes in the spool, %v; asked %d times; in the bucket: %v", len(got), err, asked, r.bucket.keys(".ts"))
		}
	})
}

func edited(p []byte, fn func([]byte) []byte) []byte { return fn(slices.Clone(p)) }

func recoverDamaged(t *testing.T, name string, left remains, policy spool.Sync, journal []byte, away bool) {
	bubble(t, func(t *testing.T, r *rig) {
		time.Sleep(time.Until(left.end.Add(3 * time.Second)))
		r.odd = true
		r.bucket.whole, r.bucket.objects = true, maps.Clone(left.objects)
		if err := os.CopyFS(r.dir, os.DirFS(left.dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, left.journal), journal, 0o600); err != nil {
			t.Fatal(err)
		}
		before := files(t, r.dir)
		r.so.Sync, r.so.BootID = policy, "a"
		if away {
			r.fault.set(errAway)
		}
		r.start()
		id := segmenter.RecordingID(filepath.Base(filepath.Dir(left.journal)))
		if tl := r.reg.Timeline("live", "cam"); tl != nil && !away { // otherwise viewers may see a gap until the bucket answers
			for _, e := range tl.Snapshot().Rows {
				key := segmenter.Name{Kind: segmenter.KindSegment, App: "live", Stream: "cam", Recording: id, Sequence: e.Sequence}.String()
				if sum, had := left.sequence[key]; had && (e.Gap || e.CRC32C != sum) {
					t.Errorf("%s: viewers are shown %d with checksum %08x, gap %v; it was %08x", name, e.Sequence, e.CRC32C, e.Gap, sum)
				}
			}
		}
		e := r.publish("cam", 3000)
		e.n = 1000 // an encoder of another life
		e.run(6 * time.Second)
		r.fault.set(nil)
		e.end()
		time.Sleep(30 * time.Second)
		r.settled(time.Minute)

		lists, keys := r.archives()
		listed := map[string]bool{}
		for i, m := range lists {
			if !m.EndList {
				t.Errorf("%s: %s is not finished", name, keys[i])
			}
			for _, s := range m.Segments {
				key := "live/streams/" + s.URI
				if _, twice := listed[key]; twice {
					t.Errorf("%s: %s is listed twice", name, key)
				}
				listed[key] = true
				if _, had := left.sequence[key]; had && s.Gap {
					t.Errorf("%s: %s is a gap", name, key)
				}
			}
		}
		for key, sum := range left.sequence {
			if o, ok := r.bucket.object(key); !listed[key] || !ok || o.crc != sum {
				t.Errorf("%s: %s is listed: %v, there: %v, with checksum %08x; it was %08x", name, key, listed[key], ok, o.crc, sum)
			}
		}
		if n := r.mirror.Uploaders()[0].Stats().Conflicts.Load(); n != 0 {
			t.Errorf("%s: %d names with two contents", name, n)
		}
		after := files(t, r.dir)
		for f := range before {
			if filepath.Ext(f) == ".ts" && !after[f] {
				t.Errorf("%s: %s was removed", name, f)
			}
		}
	})
}

func files(t *testing.T, dir string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all[name] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
