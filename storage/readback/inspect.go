package readback

import (
	"fmt"

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

func notSegment(key, found string) error {
	return fmt.Errorf("get %s: what the store gave is no segment, and is not passed on: %s; look at the object, or for a proxy that answers instead "+
		"(%w)", key, found, storage.ErrPermanent)
}
