//go:build linux

package load

import "strconv"

// body is the state of an answer's body, of known length or in chunks (RFC 9112 section 7.1).
type body struct {
	state state
	left  int    // bytes left of the body, or of the chunk and its line end
	line  []byte // a chunk's size as far as it has come
}

type state uint8

const (
	inHead state = iota
	inBody
	inSize  // in the line with a chunk's size
	inChunk // in a chunk or the line end after it
	inTail  // after the last chunk
)

// maxLine bounds a chunk's size line, bytes.
const maxLine = 256

// take consumes bytes, and returns how many of them were body and whether it is complete. Anything after it is dropped: nothing has been
// requested yet.
func (b *body) take(p []byte) (took int, done bool, err error) {
	for {
		switch b.state {
		case inBody:
			n := min(len(p), b.left)
			b.left -= n
			return took + n, b.left == 0, nil
		case inChunk:
			n := min(len(p), b.left)
			// The last two bytes are the line end.
			took += max(min(n, b.left-2), 0)
			if b.left -= n; b.left > 0 {
				return took, false, nil
			}
			p, b.state = p[n:], inSize
		default: // lines
			for {
				if len(p) == 0 {
					return took, false, nil
				}
				c := p[0]
				p = p[1:]
				if c == '\n' {
					break
				}
				if b.line = append(b.line, c); len(b.line) > maxLine {
					return took, false, errAnswer
				}
			}
			line := b.line[:max(len(b.line)-1, 0)] // without the CR
			b.line = b.line[:0]
			if b.state == inTail {
				if len(line) == 0 {
					return took, true, nil
				}
				continue
			}
			for i, c := range line {
				if c == ';' {
					line = line[:i]
					break
				}
			}
			size, err := strconv.ParseUint(string(line), 16, 31)
			if err != nil {
				return took, false, errAnswer
			}
			if b.left, b.state = int(size)+2, inChunk; size == 0 {
				b.state = inTail
			}
		}
	}
}
