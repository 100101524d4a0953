package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hlsorigin/hlsorigin/storage"
)

// checksum adds the configured checksum as a header. It is computed beforehand, because the SDK's own way is a trailer, which many stores
// cannot read.
func (s *Store) checksum(in *s3.PutObjectInput, body io.ReadSeeker, a storage.Attributes) error {
	sum := a.MD5
	switch s.o.Checksum {
	case "crc32c":
		known := a.CRC32C
		if len(known) != crc32.Size {
			h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
			if err := hashAll(h, body); err != nil {
				return err
			}
			known = h.Sum(nil)
		}
		in.ChecksumCRC32C = aws.String(base64.StdEncoding.EncodeToString(known))
	case "md5":
		if len(sum) != md5.Size {
			h := md5.New()
			if err := hashAll(h, body); err != nil {
				return err
			}
			sum = h.Sum(nil)
		}
		in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(sum))
	case "crc32":
		h := crc32.NewIEEE()
		if err := hashAll(h, body); err != nil {
			return err
		}
		in.ChecksumCRC32 = aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, h.Sum32())))
	}
	return nil
}

func hashAll(h io.Writer, body io.ReadSeeker) error {
	_, err := io.Copy(h, body)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	return err
}

// compare compares the object under the key with the body. It returns its ETag and nil if they are equal, ErrExists if not, and errMissing
// if there is no object. An ETag that is the body's MD5 proves equality. A different one proves nothing, since encrypted objects have others; then the
// object is read back.
func (s *Store) compare(ctx context.Context, key string, body io.ReadSeeker, size int64, sum []byte) (etag string, err error) {
	o, err := s.stat(ctx, key)
	if err != nil {
		return "", err
	}
	if o.Size != size {
		return "", fmt.Errorf("%w: it has %d bytes, this one %d", storage.ErrExists, o.Size, size)
	}
	if len(sum) != md5.Size {
		h := md5.New()
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return "", err
		}
		if err := hashAll(h, body); err != nil {
			return "", err
		}
		sum = h.Sum(nil)
	}
	if o.ETag == hex.EncodeToString(sum) {
		return o.ETag, nil
	}
	there, o, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return "", err
	}
	defer there.Close()
	h := md5.New()
	if _, err := io.Copy(h, there); err != nil {
		return "", err
	}
	if !bytes.Equal(h.Sum(nil), sum) {
		return "", fmt.Errorf("%w: it has the same size, its MD5 differs", storage.ErrExists)
	}
	return o.ETag, nil
}
