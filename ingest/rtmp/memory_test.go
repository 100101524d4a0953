package rtmp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/ingest"
	"github.com/hlsorigin/hlsorigin/ingest/rtmp/chunk"
)

// halfMessage sends the first n bytes of a message of size bytes, in one incomplete chunk.
func (p *peer) halfMessage(size, n int) {
	p.t.Helper()
	p.message(2, chunk.Message{Type: chunk.TypeSetChunkSize, Payload: binary.BigEndian.AppendUint32(nil, chunk.MaxSize)})
	b := chunk.Append(nil, 6, chunk.MaxSize, chunk.Message{Type: chunk.TypeVideo, StreamID: 1, Payload: bytes.Repeat([]byte{0x27}, size)})
	p.send(b[:len(b)-size+n])
}

// TestUnfinishedMessagesOfManyHaveOneBound checks that publishers stuck halfway through large messages together take no more than
// Options.Memory, and that an encoder that comes then and completes its messages loses none.
func TestUnfinishedMessagesOfManyHaveOneBound(t *testing.T) {
	const limit, peers = 8 << 20, 24
	memory := ingest.NewMemory(limit)
	ts := serve(t, Options{Memory: memory})
	pub := ts.pub
	var stuck []*peer
	for i := range peers {
		p := dialPeer(t, ts)
		p.publish(fmt.Sprintf("stuck%d", i))
		p.halfMessage(4<<20, 1<<20)
		stuck = append(stuck, p)
		<-pub.sessions
	}
	_ = stuck[0].SetDeadline(time.Now().Add(30 * time.Second)) // from now: a busy machine may have needed long for the others
	stuck[0].refused("NetStream.Publish.Rejected", "short of memory")
	if n := memory.Used(); n > limit {
		t.Errorf("%d bytes are held", n)
	}
	p := dialPeer(t, ts)
	p.publish("cam")
	s := <-pub.sessions
	p.audio(0, aacHeader)
	big := append([]byte{0xaf, 1}, bytes.Repeat([]byte{0x21}, 6000)...) // many chunks
	const frames = 50
	for i := range frames {
		p.audio(uint32(i*23), big)
	}
	_ = p.Close()
	got, _ := s.wait(t)
	if len(got) != frames {
		t.Errorf("%d of %d frames came through", len(got), frames)
	}
	if n := memory.Used(); n > limit {
		t.Errorf("%d bytes are held", n)
	}
	if memory.Refused.Load() == 0 {
		t.Error("nothing was refused")
	}
	for _, p := range stuck {
		_ = p.Close()
	}
	ts.stop()
	if n := memory.Used(); n != 0 {
		t.Errorf("%d bytes are left when all have gone", n)
	}
}
