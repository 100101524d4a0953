package rtmp

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"

	"github.com/hlsorigin/hlsorigin/ingest"
)

// hash returns the MD5 of a frame in the form it has in an FLV file.
func hash(f ingest.Frame, lengths bool) string {
	h := md5.New()
	for _, u := range f.Units {
		if lengths {
			var n [4]byte
			binary.BigEndian.PutUint32(n[:], uint32(len(u)))
			h.Write(n[:])
		}
		h.Write(u)
	}
	return hex.EncodeToString(h.Sum(nil))
}
