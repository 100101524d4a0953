package transcode

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// maxTag bounds one tag of a process's output, in bytes.
const maxTag = 8 << 20

// tags reads an FLV file (Adobe FLV 10.1, annex E.2 to E.4) as it comes through a pipe.
type tags struct {
	r    *bufio.Reader
	body []byte
	some bool
}

func newTags(r io.Reader) *tags { return &tags{r: bufio.NewReaderSize(r, 64<<10)} }

// next reads a tag; its body is valid until the next call. The end of the file between two tags is io.EOF; anything else that is not FLV is
// an error.
func (t *tags) next() (kind uint8, milliseconds uint32, body []byte, err error) {
	var h [15]byte // the size of the previous tag, and the header of the next
	if !t.some {
		var head [9]byte
		if _, err := io.ReadFull(t.r, head[:]); err != nil {
			return 0, 0, nil, err
		}
		if string(head[:3]) != "FLV" || binary.BigEndian.Uint32(head[5:]) != 9 {
			return 0, 0, nil, fmt.Errorf("what it writes is no FLV: it begins with %q", head)
		}
		t.some = true
	}
	if _, err := io.ReadFull(t.r, h[:4]); err != nil {
		return 0, 0, nil, err
	}
	if last := binary.BigEndian.Uint32(h[:]); int(last) != len(t.body)+tagHeader && len(t.body) > 0 {
		return 0, 0, nil, fmt.Errorf("what it writes is no FLV: a tag of %d bytes says %d", len(t.body)+tagHeader, last)
	}
	if _, err := io.ReadFull(t.r, h[4:]); err != nil {
		return 0, 0, nil, err
	}
	size := int(h[5])<<16 | int(h[6])<<8 | int(h[7])
	if size > maxTag {
		return 0, 0, nil, fmt.Errorf("what it writes has a tag of %d bytes; the limit is %d", size, maxTag)
	}
	if cap(t.body) < size {
		t.body = make([]byte, size, max(size*5/4, 16<<10))
	}
	t.body = t.body[:size]
	if _, err := io.ReadFull(t.r, t.body); err != nil {
		return 0, 0, nil, io.ErrUnexpectedEOF
	}
	return h[4], uint32(h[11])<<24 | uint32(h[8])<<16 | uint32(h[9])<<8 | uint32(h[10]), t.body, nil
}

const tagHeader = 11
