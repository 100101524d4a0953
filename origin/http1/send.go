package http1

import (
	"io"
	"net"
)

// copyLimit is the size up to which a body is copied behind its head, which costs less than a second piece in a gathering write.
const copyLimit = 32 << 10

// outbox is the memory for answering one request.
type outbox struct {
	head   head
	res    Response
	text   []byte
	list   [][]byte
	pieces net.Buffers // the part of list that is not sent yet
	copied []byte      // for files over TLS
}

func (s *Server) outbox() *outbox { return s.outboxes.Get().(*outbox) }

// putBack returns what the answer borrowed, and then its own memory.
func (s *Server) putBack(out *outbox) {
	out.res.release()
	out.head, out.res = head{}, Response{}
	s.outboxes.Put(out)
}

// send writes an answer and returns how much of its body was taken.
func (v *visitor) send(out *outbox, method Method, close bool) (body int64, err error) {
	res := &out.res
	out.text = v.s.appendHead(out.text[:0], res, close)
	size := int64(len(out.text))
	var n int64
	switch {
	case method == MethodHead || res.Length == 0:
		n, err = v.write(out.text)
	case res.Pieces != nil:
		out.list = res.Pieces.Slices(append(out.list[:0], nil)) // the first element is left for the head
		first, last := cut(out.list[1:], res.Offset, res.Length)
		if lent, ok := res.Pieces.(revocable); ok {
			v.revoked = lent.Revoked
		}
		n, err = v.gather(out, first, last+1)
		v.revoked = nil
	case res.File != nil:
		if n, err = v.write(out.text); err == nil {
			var m int64
			m, err = v.file(out, io.LimitedReader{R: res.File, N: res.Length})
			if n += m; err == nil && m < res.Length {
				err = io.ErrUnexpectedEOF // the announced bytes are not there: only closing the connection says so
			}
		}
	default:
		part := res.Bytes[res.Offset : res.Offset+res.Length]
		if len(part) <= copyLimit {
			out.text = append(out.text, part...)
			n, err = v.write(out.text)
		} else {
			out.list = append(out.list[:0], nil, part)
			n, err = v.gather(out, 0, 2)
		}
	}
	return max(0, n-size), err
}

func (v *visitor) write(b []byte) (int64, error) {
	n, err := v.stream().Write(b)
	return int64(n), err
}

// file sends a part of a file, through the kernel unless TLS is in between.
func (v *visitor) file(out *outbox, r io.LimitedReader) (int64, error) {
	if v.tls == nil {
		return v.conn.ReadFrom(&r)
	}
	if out.copied == nil {
		out.copied = make([]byte, copyLimit)
	}
	return io.CopyBuffer(writerOnly{v.tls}, readerOnly{&r}, out.copied)
}

// gather writes the head and list[from+1:to].
func (v *visitor) gather(out *outbox, from, to int) (n int64, err error) {
	out.list[from] = out.text
	out.pieces = out.list[from:to]
	if v.tls == nil {
		n, err = v.writeBuffers(&out.pieces)
	} else {
		n, err = out.pieces.WriteTo(v.tls)
	}
	clear(out.list)
	out.pieces = nil
	return n, err
}

// owed is an answer that a poller has made, and that needs a goroutine to be sent: a body in pieces, a file, or much.
type owed struct {
	out    *outbox
	method Method
	size   int   // of its request, which is still in the buffer
	begin  int64 // of Server.now
	held   bool  // its request was
}

// sendOwed sends what the poller has left to be sent. It returns false if the connection ends with it.
func (v *visitor) sendOwed() bool {
	o := v.owed
	v.owed = nil
	v.asked = true
	v.mark.Store(-o.begin)
	v.s.stats.InFlight.Add(1)
	defer v.s.stats.InFlight.Add(-1)
	defer v.s.putBack(o.out)
	v.settle()
	v.vouch(&o.out.res)
	if !v.finish(o.out, o.method, false, o.begin, o.held) {
		return false
	}
	v.consume(o.size)
	return true
}
