package rtsp

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/hlsorigin/hlsorigin/ingest"
)

type nowhere struct{}

func (nowhere) WriteFrame(*ingest.Frame) error { return nil }
func (nowhere) Close(error)                    {}

// BenchmarkPublisher carries one second of a stream, 25 pictures of ten packets and 47 audio packets, from packets to the session.
func BenchmarkPublisher(b *testing.B) {
	tracks, _, err := planOf(sdpFull)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Unix(1000, 0)
	p := &publisher{opts: Options{Now: func() time.Time { return now }}.withDefaults(), stats: &Stats{}}
	p.announce.Cancel = func(err error) { b.Error(err) }
	p.setTracks(tracks)
	p.start(nowhere{}, false)
	var seq [2]uint16
	send := func(i int, ts uint32, marker bool, payload []byte) {
		seq[i]++
		p.receive(arrived{track: tracks[i], rtp: &rtp.Packet{
			Header: rtp.Header{Marker: marker, SequenceNumber: seq[i], SSRC: uint32(i), Timestamp: ts}, Payload: payload,
		}})
	}
	for i, tr := range tracks {
		p.receive(arrived{track: tr, rtcp: &rtcp.SenderReport{SSRC: uint32(i), NTPTime: 1 << 40}})
	}
	fragment := make([]byte, 1200)
	sound := make([]byte, 4+300)
	copy(sound, []byte{0, 16, 300 >> 5, 300 << 3 & 0xFF, 0x21})
	b.ReportAllocs()
	for second := 0; b.Loop(); second++ {
		for n := range 47 {
			at := time.Unix(int64(1000+second), int64(n)*1e9/47)
			if n*25/47 != (n-1)*25/47 || n == 0 {
				k := n * 25 / 47
				now = at
				for i := range 10 {
					head := byte(0x41)
					if k == 0 {
						head = 0x65
					}
					fragment[0], fragment[1], fragment[2] = head&0xE0|28, head&0x1F, 0x88
					switch i {
					case 0:
						fragment[1] |= 0x80
					case 9:
						fragment[1] |= 0x40
					}
					send(0, uint32(second*25+k)*3600, i == 9, fragment)
				}
			}
			now = at
			send(1, uint32(second*44100+n*1024*44100/48000), true, sound)
		}
	}
	b.ReportMetric(float64(p.frames)/float64(b.N), "frames/op")
}
