package storage

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"
)

func TestSliceReader(t *testing.T) {
	whole := []byte("hello, consecutive slices of one segment")
	parts := [][]byte{whole[:5], whole[5:5], whole[5:20], whole[20:]}
	if err := iotest.TestReader(&sliceReader{parts: parts}, whole); err != nil {
		t.Fatal(err)
	}
	s := &sliceReader{parts: parts}
	for _, off := range []int64{0, 3, 5, 19, 20, int64(len(whole)), int64(len(whole)) + 5} {
		if n, err := s.Seek(off, io.SeekStart); n != off || err != nil {
			t.Fatalf("seek %d: %d, %v", off, n, err)
		}
		got, err := io.ReadAll(s)
		if want := whole[min(off, int64(len(whole))):]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("from %d: %q, %v", off, got, err)
		}
	}
	for _, off := range []int64{0, 3, 20, int64(len(whole))} {
		if _, err := s.Seek(off, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		n, err := s.WriteTo(&out)
		if want := whole[off:]; err != nil || n != int64(len(want)) || !bytes.Equal(out.Bytes(), want) {
			t.Errorf("written from %d: %q, %v", off, out.Bytes(), err)
		}
		if n, err := s.WriteTo(&out); n != 0 || err != nil {
			t.Errorf("after the end: %d, %v", n, err)
		}
	}
	if _, err := s.Seek(-1, io.SeekStart); err == nil {
		t.Error("before the beginning")
	}
}

func TestLend(t *testing.T) {
	whole := []byte("hello, consecutive slices of one segment")
	s := &sliceReader{parts: [][]byte{whole[:5], whole[5:5], whole[5:20], whole[20:]}}
	for n := int64(1); n <= int64(len(whole))+1; n++ {
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		for at := 0; ; {
			parts := s.Lend(nil, n)
			got := bytes.Join(parts, nil)
			if want := whole[at:min(at+int(n), len(whole))]; !bytes.Equal(got, want) {
				t.Fatalf("%d bytes from %d: %q", n, at, got)
			}
			if len(parts) == 0 {
				break
			}
			if &parts[0][0] != &whole[at] {
				t.Fatalf("%d bytes from %d: copied", n, at)
			}
			at += len(got)
			if where, err := s.Seek(0, io.SeekCurrent); where != int64(at) || err != nil {
				t.Fatalf("at %d, not %d: %v", where, at, err)
			}
		}
	}
}
