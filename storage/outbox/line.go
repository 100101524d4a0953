package outbox

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
)

// magic is the first line of every file and states the version of its format.
const magic = "hlsorigin outbox 1\n"

// ErrLater means that a later version wrote the file.
var ErrLater = errors.New("another version wrote this file")

// MaxRecord is the longest record in bytes. A longer line is damage.
const MaxRecord = 64 << 10

// A line is the CRC-32C of the record in eight hexadecimal digits, a space, the record, and a newline. A record contains no newline, so
// that a damaged line affects no other.
const lineHead = 9

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func appendLine(buf, record []byte) []byte {
	buf = fmt.Appendf(buf, "%08x ", checksum(record))
	buf = append(buf, record...)
	return append(buf, '\n')
}

// parseLine returns the record of a line without its newline, and false if the line is damaged.
func parseLine(line []byte) ([]byte, bool) {
	if len(line) < lineHead || line[lineHead-1] != ' ' {
		return nil, false
	}
	var sum [4]byte
	if _, err := hex.Decode(sum[:], line[:lineHead-1]); err != nil {
		return nil, false
	}
	record := line[lineHead:]
	want := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	return record, checksum(record) == want
}

// readAll reads a file. end is where its last complete line ends: appended records go there, over a torn one.
func readAll(r io.Reader) (found Found, end int64, err error) {
	in := bufio.NewReaderSize(r, lineHead+MaxRecord+1)
	first, err := in.ReadString('\n')
	switch {
	case err == io.EOF && strings.HasPrefix(magic, first): // torn at its very beginning
		return found, 0, nil
	case err != nil && err != io.EOF:
		return found, 0, err
	case first != magic:
		return found, 0, fmt.Errorf("%w: it begins with %.40q", ErrLater, first)
	}
	end = int64(len(first))
	for whole := true; ; {
		line, err := in.ReadSlice('\n')
		switch {
		case err == io.EOF:
			if len(line) > 0 || !whole {
				found.Damaged++
			}
			return found, end, nil
		case errors.Is(err, bufio.ErrBufferFull):
			end += int64(len(line))
			whole = false
			continue
		case err != nil:
			return found, end, err
		}
		end += int64(len(line))
		record, ok := parseLine(line[:len(line)-1])
		if ok && whole {
			found.Records = append(found.Records, bytes.Clone(record))
		} else {
			found.Damaged++
		}
		whole = true
	}
}
