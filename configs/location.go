package configs

import (
	"fmt"
	"path"
	"strings"
)

// Location is a bucket's URL taken apart.
type Location struct {
	Dir    string // of a file:// bucket; empty for S3
	Bucket string // of an s3:// bucket
	Prefix string // of every key in an s3:// bucket; empty, or with a slash at its end
}

// Location takes the URL apart; an empty URL is an empty Location. What stands after file:// is a path as the shell would
// read it: relative without a third slash.
func (b Bucket) Location() (Location, error) {
	scheme, rest, ok := strings.Cut(b.URL, "://")
	switch {
	case b.URL == "":
		return Location{}, nil
	case ok && scheme == "file" && rest != "":
		return Location{Dir: rest}, nil
	case ok && scheme == "s3":
		bucket, prefix, _ := strings.Cut(rest, "/")
		if bucket == "" || strings.ContainsAny(bucket, "?#@: ") {
			return Location{}, fmt.Errorf("%q does not name a bucket: s3://bucket or s3://bucket/prefix", b.URL)
		}
		if prefix = strings.Trim(prefix, "/"); prefix != "" {
			if path.Clean(prefix) != prefix || strings.HasPrefix(prefix, "..") || strings.ContainsAny(prefix, "?#") {
				return Location{}, fmt.Errorf("%q: the prefix is not a plain path", b.URL)
			}
			prefix += "/"
		}
		return Location{Bucket: bucket, Prefix: prefix}, nil
	}
	return Location{}, fmt.Errorf("%q is not file://directory or s3://bucket/prefix", b.URL)
}
