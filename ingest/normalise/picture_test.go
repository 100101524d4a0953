package normalise

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// delivery is how an encoder sends a picture of three slices.
type delivery func(r *rig, s *syntax, ms int64, key bool, parts [][]byte)

// whole is what every picture should come out as: sets before a keyframe, three slices.
func whole(s *syntax, key bool, parts [][]byte) (units [][]byte) {
	if key {
		units = append(units, s.sets...)
	}
	return append(units, parts...)
}

func deliveries() map[string]delivery {
	return map[string]delivery{
		"one message": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			r.must(s.codec, ms, key, whole(s, key, parts)...)
		},
		"a message for each slice": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			if key {
				r.must(s.codec, ms, key, append(slices.Clone(s.sets), parts[0])...)
				parts = parts[1:]
			}
			for _, u := range parts {
				r.must(s.codec, ms, key, u)
			}
		},
		"a message for each unit": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			r.must(s.codec, ms, false, s.delimiter)
			for _, u := range whole(s, key, parts) {
				r.must(s.codec, ms, key, u)
			}
		},
		"sets of an older time, slices of later ones": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			if key {
				r.must(s.codec, max(ms-40, 0), false, s.sets...)
			}
			for i, u := range parts {
				r.must(s.codec, ms+int64(2*i), key, u)
			}
		},
		"the flag on the last message alone": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			r.must(s.codec, ms, false, whole(s, key, parts[:2])...)
			r.must(s.codec, ms, key, parts[2])
		},
		"two messages": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			r.must(s.codec, ms, key, whole(s, key, parts[:2])...)
			r.must(s.codec, ms, false, parts[2])
		},
		"delimiters and SEI of their own": func(r *rig, s *syntax, ms int64, key bool, parts [][]byte) {
			r.must(s.codec, ms, key, s.delimiter)
			r.must(s.codec, ms, key, whole(s, key, parts)...)
		},
	}
}

// TestSlices checks that each picture comes out complete, once, with its time, however it is sent, in both codecs.
func TestSlices(t *testing.T) {
	for name, s := range syntaxes(t) {
		for how, send := range deliveries() {
			for _, retained := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/%t", name, how, retained), func(t *testing.T) {
					r := newRig(t, Options{Retained: retained})
					const pictures = 40
					var want [][][]byte
					for n := range pictures {
						key := n%10 == 0
						var parts [][]byte
						for i := range 3 {
							parts = append(parts, s.slice(key, i == 0, 3*n+i))
						}
						want = append(want, whole(&s, key, parts))
						send(r, &s, int64(40*n), key, parts)
						r.pass(40 * time.Millisecond)
						if held := n + 1 - len(r.frames); n >= learnPictures+1 && held > 1 {
							t.Fatalf("after %d pictures %d are held", n+1, held)
						}
					}
					r.end()
					if len(r.frames) != pictures {
						t.Fatalf("%d frames", len(r.frames))
					}
					for n, f := range r.frames {
						if f.DTS != int64(40*n)*millisecond || f.PTS != f.DTS || f.Key != (n%10 == 0) || !slices.EqualFunc(f.Units, want[n], bytes.Equal) {
							t.Errorf("picture %d: %+v, want units %x", n, f, want[n])
						}
						if f.Track != r.frames[0].Track {
							t.Errorf("picture %d has another track", n)
						}
					}
					r.dropped(&r.ledger.Video, nil)
					if n := r.ledger.Video.Received.Load(); n != pictures {
						t.Errorf("%d frames were received", n)
					}
				})
			}
		}
	}
}

// TestNoLatency checks that, once the encoder is known, none of its pictures are held if it sends complete ones, and one is if it sends
// slices.
func TestNoLatency(t *testing.T) {
	for name, s := range syntaxes(t) {
		r := newRig(t, Options{})
		r.configure(s.config())
		for n := range 20 {
			r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
			if want := n + 1; n+1 >= learnPictures && len(r.frames) != want || n+1 < learnPictures && len(r.frames) != 0 {
				t.Errorf("%s: %d frames after %d messages", name, len(r.frames), want)
			}
		}
	}
}

// TestLateSlices checks that an encoder which begins to send separate slices late loses those of one picture, and that they are counted.
func TestLateSlices(t *testing.T) {
	for name, s := range syntaxes(t) {
		r := newRig(t, Options{})
		r.configure(s.config())
		for n := range 20 {
			r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
		}
		for n := 20; n < 30; n++ {
			r.must(s.codec, int64(40*n), false, s.slice(false, true, n))
			r.must(s.codec, int64(40*n), false, s.slice(false, false, n+100))
		}
		r.end()
		if len(r.frames) != 30 {
			t.Fatalf("%s: %d frames", name, len(r.frames))
		}
		for n, f := range r.frames {
			if want := 1 + min(max(n-20, 0), 1); len(f.Units) != want {
				t.Errorf("%s: picture %d has %d units, want %d", name, n, len(f.Units), want)
			}
		}
		r.dropped(&r.ledger.Video, map[ingest.Reason]int64{ingest.NoPicture: 1})
	}
}

// TestLostBeginning checks that slices of a picture whose beginning was lost do not join the previous picture.
func TestLostBeginning(t *testing.T) {
	for name, s := range syntaxes(t) {
		r := newRig(t, Options{Retained: true})
		r.configure(s.config())
		for n := range 20 {
			if n != 12 {
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, 2*n))
			}
			r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, false, 2*n+1))
		}
		r.end()
		if len(r.frames) != 20 || len(r.frames[11].Units) != 2 || len(r.frames[12].Units) != 1 || r.frames[12].DTS != 480*millisecond {
			t.Errorf("%s: %d frames, %+v", name, len(r.frames), r.frames[11:13])
		}
	}
}

// TestSuffix checks that units which belong after slices join them if pictures are held, and are counted if the slices have already left.
func TestSuffix(t *testing.T) {
	for name, s := range syntaxes(t) {
		for _, early := range []bool{true, false} {
			r := newRig(t, Options{})
			r.configure(s.config())
			for n := range 20 {
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
				if early || n >= 10 {
					r.must(s.codec, int64(40*n), false, s.suffix)
				}
			}
			r.end()
			units, lost := 0, int64(0)
			for _, f := range r.frames {
				units += len(f.Units)
			}
			if !early {
				lost = 10
			}
			if len(r.frames) != 20 || early && units != 40 || !early && units != 20 {
				t.Errorf("%s: %d frames of %d units", name, len(r.frames), units)
			}
			r.dropped(&r.ledger.Video, map[ingest.Reason]int64{ingest.NoPicture: lost})
		}
	}
}

// TestDelimiterCompletes checks that a unit which can only come before a picture releases the previous one.
func TestDelimiterCompletes(t *testing.T) {
	for name, s := range syntaxes(t) {
		for what, u := range map[string][]byte{"delimiter": s.delimiter, "SEI": s.sei, "SPS": s.sets[0]} {
			r := newRig(t, Options{})
			r.configure(s.config())
			for n := range 20 {
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
				r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, false, n))
			}
			if len(r.frames) != 19 {
				t.Errorf("%s: %d frames", name, len(r.frames))
			}
			if r.must(s.codec, 800, false, u); len(r.frames) != 20 {
				t.Errorf("%s: %d frames behind a %s", name, len(r.frames), what)
			}
		}
	}
}

// TestPauseBehindPicture checks that the last picture before a pause is not held back while audio goes on.
func TestPauseBehindPicture(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{})
	r.configure(s.config())
	r.header(ascLC)
	for n := range 20 {
		r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, true, n))
		r.must(s.codec, int64(40*n), n == 0, s.slice(n == 0, false, n))
		r.pass(40 * time.Millisecond)
	}
	if n := len(r.of(true)); n != 19 {
		t.Fatalf("%d pictures", n)
	}
	r.sound(800, aac(0))
	if n := len(r.of(true)); n != 19 {
		t.Fatalf("%d pictures at once", n)
	}
	r.pass(staleAfter)
	r.sound(1300, aac(1))
	if n := len(r.of(true)); n != 20 {
		t.Fatalf("%d pictures after a while", n)
	}
	r.must(s.codec, 5000, false, s.slice(false, true, 99))
	r.end()
	if n := len(r.of(true)); n != 21 {
		t.Errorf("%d pictures", n)
	}
}

// TestPictureLimits checks that neither units without a picture nor endless slices are kept without bound.
func TestPictureLimits(t *testing.T) {
	s := syntaxes(t)["H.264"]
	r := newRig(t, Options{Direct: true})
	r.configure(s.config())
	big := append([]byte{6, 5}, make([]byte, 1<<20)...)
	for range 20 {
		r.must(s.codec, 0, false, big)
	}
	if n := r.pictures.ahead.size; n > maxPictureBytes {
		t.Errorf("%d bytes wait for a picture", n)
	}
	for range maxPictureUnits + 1 {
		r.must(s.codec, 0, false, s.sei)
	}
	r.must(s.codec, 0, true, s.slice(true, true, 0))
	r.must(s.codec, 40, false, s.slice(false, true, 1))
	r.must(s.codec, 40, false, s.slice(false, false, 2)) // known from the next one on
	r.must(s.codec, 80, false, s.slice(false, true, 3))
	for range maxPictureUnits + 10 {
		r.must(s.codec, 80, false, s.slice(false, false, 4))
	}
	r.must(s.codec, 120, false, s.slice(false, true, 5))
	if n := len(r.frames[len(r.frames)-1].Units); n != maxPictureUnits {
		t.Errorf("a picture of %d units", n)
	}
	if n := r.ledger.Video.Dropped[ingest.NoPicture].Load(); n < 3 {
		t.Errorf("%d dropped without a picture", n)
	}
	if n := r.ledger.Video.Dropped[ingest.Malformed].Load(); n != 11 {
		t.Errorf("%d slices too many were dropped", n)
	}
}

// TestOtherCodec tests a change from one codec to the other.
func TestOtherCodec(t *testing.T) {
	all := syntaxes(t)
	a, b := all["H.264"], all["H.265"]
	r := newRig(t, Options{})
	for n := range 20 {
		s, key := a, n == 0
		if n >= 10 {
			s, key = b, n == 10
		}
		units := [][]byte{s.slice(key, true, n)}
		if key {
			units = append(slices.Clone(s.sets), units...)
		}
		r.must(s.codec, int64(40*n), key, units...)
	}
	r.end()
	if len(r.frames) != 20 || r.frames[9].Track.Codec != ingest.H264 || r.frames[10].Track.Codec != ingest.H265 || r.ledger.Video.Codec() != ingest.H265 {
		t.Errorf("%d frames", len(r.frames))
	}
}
