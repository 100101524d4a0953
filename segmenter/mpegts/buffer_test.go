package mpegts

import (
	"bytes"
	"errors"
	"hash/crc32"
	"testing"
)

func TestChunksHoldWholePackets(t *testing.T) {
	for c := range chunkClasses {
		if s := chunkSize(c); s%PacketSize != 0 || s > 8<<10<<c || s <= 8<<10<<c-PacketSize {
			t.Errorf("class %d: %d bytes", c, s)
		}
	}
}

func TestBufferKeepsWhatIsWritten(t *testing.T) {
	const count = 2000
	b := new(Pool).Buffer()
	var want []byte
	for i := 0; i < count; {
		if i%3 == 0 {
			p := b.Packet()
			if len(p) != PacketSize {
				t.Fatalf("packet of %d bytes", len(p))
			}
			for j := range p {
				p[j] = byte(i + j)
			}
			want = append(want, p...)
			i++
			if i%5 == 0 {
				b.CRC32C() // as the muxer asks for it on its way
			}
			continue
		}
		run := b.packets(min(100, count-i))
		if len(run) == 0 || len(run)%PacketSize != 0 {
			t.Fatalf("run of %d bytes", len(run))
		}
		for j := range run {
			run[j] = byte(i * j)
		}
		want = append(want, run...)
		i += len(run) / PacketSize
	}
	if b.Len() != len(want) || b.Len() != count*PacketSize {
		t.Errorf("length %d, want %d", b.Len(), len(want))
	}
	if got := bytes.Join(b.Slices(nil), nil); !bytes.Equal(got, want) {
		t.Error("Slices differ from what was written")
	}
	if !bytes.Equal(bytesOf(b), want) {
		t.Error("WriteTo differs from what was written")
	}
	if got, want := b.CRC32C(), crc32.Checksum(want, castagnoli); got != want {
		t.Errorf("checksum %08x, want %08x", got, want)
	}
	for _, s := range b.Slices(nil) {
		if len(s)%PacketSize != 0 {
			t.Errorf("slice of %d bytes splits a packet", len(s))
		}
	}
	b.Release()
	if b.Len() != 0 || len(b.Slices(nil)) != 0 {
		t.Error("not empty after Release")
	}
}

func TestBufferWastesLittle(t *testing.T) {
	b := new(Pool).Buffer()
	for range 70 { // two seconds of speech at 48 kb/s
		b.Packet()
	}
	held := 0
	for _, c := range b.chunks {
		held += len(c.data)
	}
	if held > 2*b.Len() {
		t.Errorf("%d bytes held for %d", held, b.Len())
	}
}

func TestTrimKeepsContent(t *testing.T) {
	for _, packets := range []int{0, 1, 43, 44, 300, 1000, 1337} {
		b := new(Pool).Buffer()
		for i := range packets {
			p := b.Packet()
			for j := range p {
				p[j] = byte(i + 3*j)
			}
		}
		want := bytesOf(b)
		b.Trim()
		if !bytes.Equal(bytesOf(b), want) || b.Len() != len(want) {
			t.Errorf("%d packets: another content", packets)
		}
		if got, want := b.CRC32C(), crc32.Checksum(want, castagnoli); got != want {
			t.Errorf("%d packets: checksum %08x, want %08x", packets, got, want)
		}
		if free := len(b.last) - b.used; free >= chunkSize(0) {
			t.Errorf("%d packets: %d bytes are still free", packets, free)
		}
	}
}

func TestBufferReusesMemory(t *testing.T) {
	pool := new(Pool)
	fill := func() {
		b := pool.Buffer()
		for range 3000 {
			b.Packet()
		}
		b.Release()
	}
	fill()
	if n := testing.AllocsPerRun(20, fill); n > 3 {
		t.Errorf("%v allocations for a segment, want the Buffer and its list of chunks", n)
	}
}

type brokenWriter struct{ room int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return w.room, errors.New("broken")
	}
	w.room -= len(p)
	return len(p), nil
}

func TestBufferWriteToStopsAtAnError(t *testing.T) {
	b := new(Pool).Buffer()
	for range 200 {
		b.Packet()
	}
	n, err := b.WriteTo(&brokenWriter{room: 10000})
	if err == nil || n != 10000 {
		t.Errorf("%d bytes, error %v; want 10000 and one", n, err)
	}
}
