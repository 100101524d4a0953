package dir

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// maxSummed bounds the content that is read for an ETag, in bytes. No playlist comes near it.
const maxSummed = 64 << 20

// etagOf returns the ETag of a file with that content. For what is written once it is made of date and size, so that nothing need be read.
// For everything else, which may be replaced and is small, it is the MD5 of the content, as in S3: two writes within one tick of the file
// system's clock are told apart, and a file that was put back by hand is what it was.
func etagOf(key string, fi fs.FileInfo, content io.Reader) (string, error) {
	if once(key) || fi.Size() > maxSummed {
		return fmt.Sprintf("%x-%x", fi.ModTime().UnixNano(), fi.Size()), nil
	}
	h := md5.New()
	if _, err := io.CopyBuffer(h, content, make([]byte, min(fi.Size()+1, 32<<10))); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// once reports whether a key is of an object that is written once: media.
func once(key string) bool {
	switch path.Ext(key) {
	case ".ts", ".m4s", ".mp4":
		return true
	}
	return false
}
