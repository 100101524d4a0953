package origin

import (
	"io"
	"net"
	"sync"
	"time"
)

// copyLimit is the size up to which a body is copied behind its head, which costs less than a second piece in a
// gathering write.
const copyLimit = 32 << 10

// outbox is the memory that one answer is sent from.
type outbox struct {
	head   []byte
	list   [][]byte
	pieces net.Buffers // what of list is not sent yet
}

func newOutboxes() *sync.Pool {
	return &sync.Pool{New: func() any { return &outbox{head: make([]byte, 0, 2048), list: make([][]byte, 0, 64)} }}
}

// send writes an answer and tells how much of its body was taken.
func (v *viewer) send(req *request, res *response, now time.Time, close bool) (body int64, err error) {
	out := v.s.outboxes.Get().(*outbox)
	out.head = v.o.appendHead(out.head[:0], res, now, close)
	size := int64(len(out.head))
	var n int64
	switch {
	case req.method == methodHead || res.length == 0:
		n, err = v.write(out.head)
	case res.segment != nil:
		out.list = res.segment.Slices(append(out.list[:0], nil)) // the first place is left for the head
		first, last := cut(out.list[1:], res.offset, res.length)
		v.revoked = res.segment.Revoked
		n, err = v.gather(out, first, last+1)
		v.revoked = nil
	case res.object.Body != nil:
		if n, err = v.write(out.head); err == nil {
			var m int64
			m, err = io.Copy(&v.conn, io.LimitReader(res.object.Body, res.length))
			if n += m; err == nil && m < res.length {
				err = io.ErrUnexpectedEOF // what was announced is not there: only the end of the connection says so
			}
		}
	default:
		part := res.bytes[res.offset : res.offset+res.length]
		if len(part) <= copyLimit {
			out.head = append(out.head, part...)
			n, err = v.write(out.head)
		} else {
			out.list = append(out.list[:0], nil, part)
			n, err = v.gather(out, 0, 2)
		}
	}
	v.s.outboxes.Put(out)
	return max(0, n-size), err
}

func (v *viewer) write(b []byte) (int64, error) {
	n, err := v.conn.Write(b)
	return int64(n), err
}

// gather writes the head and list[from+1:to].
func (v *viewer) gather(out *outbox, from, to int) (int64, error) {
	out.list[from] = out.head
	out.pieces = out.list[from:to]
	n, err := v.WriteBuffers(&out.pieces)
	clear(out.list)
	out.pieces = nil
	return n, err
}
