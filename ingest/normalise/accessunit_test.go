package normalise

import "testing"

// TestUndecoded checks that pictures of a protocol without decoding times leave as they came, in decoding order, however deeply they are
// reordered.
func TestUndecoded(t *testing.T) {
	for name, s := range syntaxes(t) {
		t.Run(name, func(t *testing.T) {
			for _, o := range []Options{{Undecoded: true}, {Undecoded: true, Direct: true, Placed: true, Retained: true}} {
				r := newRig(t, o)
				r.configure(s.config())
				sent := []int64{0, 320, 160, 80, 40, 120, 240, 200, 280, 640, 480, 400, 360}
				for n, ms := range sent {
					if err := r.video(s.codec, ms, ms, n == 0, s.slice(n == 0, true, n)); err != nil {
						t.Fatal(err)
					}
				}
				r.end()
				if len(r.frames) != len(sent) {
					t.Fatalf("%d frames, want %d", len(r.frames), len(sent))
				}
				for n, f := range r.frames {
					if want := sent[n] * millisecond; f.PTS != want || f.DTS != want {
						t.Errorf("picture %d: PTS %d, DTS %d, want %d", n, f.PTS, f.DTS, want)
					}
				}
				if n := r.ledger.Video.Repaired.Load(); n != 0 {
					t.Errorf("%d repaired", n)
				}
			}
		})
	}
}
