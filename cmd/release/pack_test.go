package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"slices"
	"testing"
	"time"
)

func TestPack(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	files := []entry{{name: "b", body: []byte("two")}, {name: "a", mode: 0o755, body: []byte("one")}}
	packed, err := pack("x_v1", at, slices.Clone(files))
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	if again, _ := pack("x_v1", at, files); !bytes.Equal(packed, again) {
		t.Error("the same files in another order are other bytes")
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name+" "+string(body))
		if !h.ModTime.Equal(at) || h.Uid != 0 || h.Uname != "" {
			t.Errorf("%s has a date or an owner of its own: %+v", h.Name, h)
		}
	}
	if want := []string{"drwxr-xr-x x_v1/ ", "-rwxr-xr-x x_v1/a one", "-rw-r--r-- x_v1/b two"}; !slices.Equal(got, want) {
		t.Errorf("%q, wanted %q", got, want)
	}
}
