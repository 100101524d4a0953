package http1

import (
	"bytes"
	"testing"
)

func TestCut(t *testing.T) {
	whole := []byte("abcdefghij")
	for offset := range len(whole) {
		for length := range len(whole) - offset + 1 {
			slices := [][]byte{whole[:3], whole[3:4], whole[4:9], whole[9:]}
			first, last := cut(slices, int64(offset), int64(length))
			if got := bytes.Join(slices[first:last], nil); !bytes.Equal(got, whole[offset:offset+length]) {
				t.Errorf("%d+%d: %q", offset, length, got)
			}
		}
	}
}
