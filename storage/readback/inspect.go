package readback

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hlsorigin/hlsorigin/segmenter"
	"github.com/hlsorigin/hlsorigin/storage"
)

// Packets of a transport stream: ISO/IEC 13818-1, 2.4.3.2.
const (
	packetSize = 188
	syncByte   = 0x47
)

// maxSegment bounds a segment, bytes: a minute at 70 Mb/s.
const maxSegment = 512 << 20

// InspectSegments is an Options.Inspect that lets a segment pass only where it is a transport stream: whole packets, each
// with its sync byte, and not encoded. A CDN keeps for a year what it was once given under a segment's name. All other
// objects pass.
func InspectSegments(key string, o storage.Object) (check func([]byte) error, err error) {
	if n, ok := segmenter.ParseName(key); !ok || n.Kind != segmenter.KindSegment {
		return nil, nil
	}
	switch {
	case o.Size == 0 || o.Size%packetSize != 0:
		return nil, notSegment(key, fmt.Sprintf("it has %d bytes, which are no whole packets", o.Size))
	case o.Size > maxSegment:
		return nil, notSegment(key, fmt.Sprintf("it has %d bytes, more than any segment", o.Size))
	case o.ContentEncoding != "" && o.ContentEncoding != "identity":
		return nil, notSegment(key, "it is encoded: "+o.ContentEncoding)
	}
	pos := int64(0)
	return func(p []byte) error {
		for i := (packetSize - pos%packetSize) % packetSize; i < int64(len(p)); i += packetSize {
			if p[i] != syncByte {
				return notSegment(key, fmt.Sprintf("byte %d is no sync byte", pos+i))
			}
		}
		pos += int64(len(p))
		return nil
	}, nil
}

// Known is what an object is known to be.
type Known struct {
	Size   int64
	CRC32C uint32
}

// check is shown all bytes in their order, and passes them on to another check, which may be nil. The last of them decides.
func (k Known) check(key string, also func([]byte) error) func([]byte) error {
	sum, seen := uint32(0), int64(0)
	return func(p []byte) error {
		if also != nil {
			if err := also(p); err != nil {
				return err
			}
		}
		sum = crc32.Update(sum, crc32.MakeTable(crc32.Castagnoli), p)
		if seen += int64(len(p)); seen >= k.Size && (seen > k.Size || sum != k.CRC32C) {
			return k.otherwise(key, fmt.Sprintf("%d bytes with CRC-32C %08x", seen, sum))
		}
		return nil
	}
}

func (k Known) otherwise(key, found string) error {
	return fmt.Errorf("get %s: the store gave other bytes than were sent there, and they are not passed on: %s, not %d with %08x; see what recordings verify -deep says of it, "+
		"and who else writes to the bucket (%w)", key, found, k.Size, k.CRC32C, storage.ErrPermanent)
}

// KnownSegments is an Options.Known that asks the timelines that there are: of what they list, they know the sums.
func KnownSegments(line func(app, stream string, id segmenter.RecordingID) *segmenter.Timeline) func(key string) (Known, bool) {
	return func(key string) (k Known, ok bool) {
		n, ok := segmenter.ParseName(key)
		if !ok || n.Kind != segmenter.KindSegment {
			return k, false
		}
		t := line(n.App, n.Stream, n.Recording)
		if t == nil {
			return k, false
		}
		s := t.Snapshot().Whole() // others may ask for what viewers are not shown yet
		if s.Recording != n.Recording || n.Sequence < s.Base || n.Sequence >= s.Next() {
			return k, false
		}
		row := &s.Rows[n.Sequence-s.Base]
		return Known{row.Size, row.CRC32C}, !row.Gap && row.Size > 0
	}
}

// known is what an object is known to be.
func (r *Cache) known(key string) (k Known, ok bool) {
	if r.o.Known == nil {
		return k, false
	}
	return r.o.Known(key)
}

// passOver shows a check the rest of a body that is not kept, where it has to see all of it.
func passOver(body io.Reader, all bool, check func([]byte) error) error {
	if !all {
		return nil
	}
	_, err := io.Copy(checker(check), body)
	return err
}

// checker is a check as an io.Writer.
type checker func([]byte) error

func (c checker) Write(p []byte) (int, error) { return len(p), c(p) }

func notSegment(key, found string) error {
	return fmt.Errorf("get %s: what the store gave is no segment, and is not passed on: %s; look at the object, or for a proxy that answers instead "+
		"(%w)", key, found, storage.ErrPermanent)
}
