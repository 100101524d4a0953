package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// readAll returns copies of all messages, and the error that ended them.
func readAll(r *Reader) (all []Message, err error) {
	for {
		m, err := r.Next()
		if err != nil {
			return all, err
		}
		m.Payload = bytes.Clone(m.Payload)
		all = append(all, m)
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// head returns a full header on chunk stream id (< 64).
func head(id byte, ts uint32, length int, kind byte) []byte {
	return []byte{id, byte(ts >> 16), byte(ts >> 8), byte(ts), byte(length >> 16), byte(length >> 8), byte(length), kind, 1, 0, 0, 0}
}

func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func TestRoundTrip(t *testing.T) {
	for _, size := range []int{0, 1, 127, 128, 129, 5000, 70_000, 300_000} {
		for _, chunks := range []int{1, 128, 4096, 60_000, MaxSize} {
			for _, id := range []int{2, 3, 63, 64, 319, 320, 65_599} {
				for _, ts := range []uint32{0, 0xfffffe, 0xffffff, 0x1000000, 0xffffffff} {
					if chunks == 1 && size > 5000 {
						continue
					}
					want := Message{Type: TypeVideo, StreamID: 1, Timestamp: ts, Payload: pattern(size)}
					b := Append(nil, 2, DefaultSize, Message{Type: TypeSetChunkSize, Payload: be32(uint32(chunks))})
					b = Append(b, id, chunks, want)
					b = Append(b, id, chunks, want)
					got, err := readAll(NewReader(bytes.NewReader(b), make([]byte, 64<<10), Limits{}))
					if err != io.EOF || len(got) != 2 {
						t.Fatalf("size %d chunks %d id %d ts %#x: %d messages, %v", size, chunks, id, ts, len(got), err)
					}
					for _, m := range got {
						if !bytes.Equal(m.Payload, want.Payload) || m.Timestamp != ts || m.Type != TypeVideo || m.StreamID != 1 {
							t.Fatalf("size %d chunks %d id %d ts %#x: other message", size, chunks, id, ts)
						}
					}
				}
			}
		}
	}
}

func TestReader(t *testing.T) {
	p := pattern(200)
	const far = 5 * 3600 * 1000 // past 4 h 39 m, where 24 bits of milliseconds end
	for _, tc := range []struct {
		name  string
		bytes []byte
		want  string // "time:length" of each message
	}{
		{"extended time repeated before a continuation, as the protocol says",
			join(head(4, 0xffffff, 200, 9), be32(far), p[:128], []byte{0xc4}, be32(far), p[128:]), "18000000:200"},
		{"extended time not repeated, as some encoders do",
			join(head(4, 0xffffff, 200, 9), be32(far), p[:128], []byte{0xc4}, p[128:]), "18000000:200"},
		{"extended delta",
			join(head(4, 5, 2, 9), p[:2], []byte{0x84, 0xff, 0xff, 0xff}, be32(far), p[:2]), "5:2 18000005:2"},
		{"a new message without a header repeats the delta",
			join(head(4, 0, 2, 9), p[:2], []byte{0x84, 0, 0, 40}, p[:2], []byte{0xc4}, p[:2]), "0:2 40:2 80:2"},
		{"after a full header the time is the delta, as ffmpeg relies on",
			join(head(4, 23, 2, 8), p[:2], []byte{0xc4}, p[:2]), "23:2 46:2"},
		{"but a late time is no delta",
			join(head(4, 3_600_000, 2, 8), p[:2], []byte{0xc4}, p[:2]), "3600000:2 3600000:2"},
		{"times wrap",
			join(head(4, 0xffffff, 2, 8), be32(0xffffffff), p[:2], []byte{0x84, 0, 0, 2}, p[:2]), "4294967295:2 1:2"},
		{"zero length",
			join(head(4, 1, 0, 9), head(5, 2, 1, 8), p[:1], []byte{0xc4}, head(4, 3, 1, 9), p[:1]), "1:0 2:1 2:0 3:1"},
		{"interleaved",
			join(head(4, 1, 200, 9), p[:128], head(5, 2, 3, 8), p[:3], []byte{0xc4}, p[128:]), "2:3 1:200"},
		{"abort",
			join(head(4, 1, 200, 9), p[:128], head(2, 0, 4, TypeAbort), be32(4), head(4, 7, 3, 9), p[:3]), "7:3"},
		{"abort of what is not there",
			join(head(2, 0, 4, TypeAbort), be32(400), head(2, 0, 1, TypeAbort), p[:1], head(4, 7, 3, 9), p[:3]), "7:3"},
		{"a new header in the middle of a message",
			join(head(4, 1, 200, 9), p[:128], head(4, 7, 3, 9), p[:3]), "7:3"},
		{"chunk size",
			join(head(2, 0, 4, TypeSetChunkSize), be32(1000), head(4, 7, 200, 9), p), "7:200"},
		{"chunk size beyond what a message can have",
			join(head(2, 0, 4, TypeSetChunkSize), be32(1<<31-1), head(4, 7, 200, 9), p), "7:200"},
		{"chunk stream ids of two and three bytes",
			join([]byte{0, 255}, head(0, 1, 2, 9)[1:], p[:2], []byte{1, 0, 1}, head(0, 2, 2, 9)[1:], p[:2], []byte{0xc1, 0, 1}, p[:2]),
			"1:2 2:2 4:2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, one := range []bool{false, true} {
				var src io.Reader = bytes.NewReader(tc.bytes)
				if one {
					src = iotest.OneByteReader(src)
				}
				all, err := readAll(NewReader(src, nil, Limits{}))
				got := ""
				for i, m := range all {
					if i > 0 {
						got += " "
					}
					got += fmt.Sprintf("%d:%d", m.Timestamp, len(m.Payload))
					if !bytes.Equal(m.Payload, p[:len(m.Payload)]) {
						t.Errorf("message %d: other bytes", i)
					}
				}
				if err != io.EOF || got != tc.want {
					t.Errorf("got %q, %v, want %q", got, err, tc.want)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	p := pattern(128)
	small := Limits{MessageSize: 10_000, Held: 20_000, Streams: 4}
	var many, held []byte
	for id := range byte(5) {
		many = append(many, join(head(2+id, 0, 1, 8), p[:1])...)
	}
	for id := range byte(4) { // 4 unfinished messages of 6,000 bytes
		held = append(held, join(head(2+id, 0, 10_000, 9), p)...)
		for range 46 {
			held = append(append(held, 0xc0|2+id), p...)
		}
	}
	for _, tc := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"message size", head(4, 0, 10_001, 9), ErrLimit},
		{"message size reached", head(4, 0, 10_000, 9), io.ErrUnexpectedEOF},
		{"chunk streams", many, ErrLimit},
		{"held", held, ErrLimit},
		{"no header", []byte{0xc4}, ErrProtocol},
		{"no header, delta", []byte{0x84, 0, 0, 0}, ErrProtocol},
		{"chunk size 0", join(head(2, 0, 4, TypeSetChunkSize), be32(0)), ErrProtocol},
		{"chunk size with the top bit", join(head(2, 0, 4, TypeSetChunkSize), be32(1<<31)), ErrProtocol},
		{"chunk size cut short", join(head(2, 0, 1, TypeSetChunkSize), p[:1]), ErrProtocol},
		{"cut in a header", head(4, 0, 1, 9)[:5], io.ErrUnexpectedEOF},
		{"cut in a payload", join(head(4, 0, 10, 9), p[:5]), io.ErrUnexpectedEOF},
		{"cut between chunks", join(head(4, 0, 200, 9), p), io.EOF},
		{"nothing", nil, io.EOF},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := readAll(NewReader(bytes.NewReader(tc.bytes), nil, small)); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestHeldIsFreed checks that complete messages stop counting against Held.
func TestHeldIsFreed(t *testing.T) {
	var b []byte
	for id := range 20 {
		b = Append(b, 3+id, DefaultSize, Message{Type: TypeVideo, Payload: pattern(9000)})
	}
	r := NewReader(bytes.NewReader(b), nil, Limits{MessageSize: 10_000, Held: 30_000})
	if all, err := readAll(r); err != io.EOF || len(all) != 20 {
		t.Errorf("%d messages, %v", len(all), err)
	}
	if r.held > 30_000 {
		t.Errorf("%d bytes are held", r.held)
	}
}

func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("a sync.Pool forgets at random under -race")
	}
	one := Append(nil, 4, 4096, Message{Type: TypeVideo, Payload: pattern(20_000)})
	r := NewReader(&repeat{b: join(Append(nil, 2, DefaultSize, Message{Type: TypeSetChunkSize, Payload: be32(4096)}), one), from: 16},
		make([]byte, 64<<10), Limits{})
	if n := testing.AllocsPerRun(200, func() {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a message", n)
	}
}

// repeat returns b and then b[from:] forever.
type repeat struct {
	b       []byte
	from, i int
}

func (r *repeat) Read(p []byte) (int, error) {
	if r.i == len(r.b) {
		r.i = r.from
	}
	n := copy(p, r.b[r.i:])
	r.i += n
	return n, nil
}

// FuzzReader checks that no bytes make the reader panic or hold more than it may, and that it does not matter in which portions they come.
func FuzzReader(f *testing.F) {
	p := pattern(300)
	f.Add(join(head(4, 0xffffff, 200, 9), be32(77), p[:128], []byte{0xc4}, be32(77), p[128:200]))
	f.Add(join(head(2, 0, 4, TypeSetChunkSize), be32(4), head(2, 0, 4, TypeAbort), be32(4), head(3, 9, 7, 20), p[:4], []byte{0xc3}, p[4:7]))
	f.Add(join([]byte{1, 0, 1}, head(0, 2, 2, 9)[1:], p[:2], []byte{0xc1, 0, 1}, p[:2]))
	limits := Limits{MessageSize: 4 << 10, Held: 16 << 10, Streams: 6}
	f.Fuzz(func(t *testing.T, b []byte) {
		whole := NewReader(bytes.NewReader(b), make([]byte, 64<<10), limits)
		a, errA := readAll(whole)
		if whole.held > limits.Held {
			t.Errorf("%d bytes are held", whole.held)
		}
		c, errC := readAll(NewReader(iotest.OneByteReader(bytes.NewReader(b)), nil, limits))
		if d := cmp.Diff(a, c); d != "" {
			t.Errorf("in one piece and byte by byte: %s", d)
		}
		if errA.Error() != errC.Error() {
			t.Errorf("errors %v and %v", errA, errC)
		}
	})
}
