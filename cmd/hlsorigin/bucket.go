package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hlsorigin/hlsorigin/configs"
	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/dir"
	"github.com/hlsorigin/hlsorigin/storage/s3"
)

// bucket is an object store that the configuration names.
type bucket struct {
	storage.Store
	close func() error
}

// Unwrap implements storage.Unwrapper: what the store can do besides is not hidden.
func (b *bucket) Unwrap() storage.Store { return b.Store }

// openBucket opens a store without touching the network; nil where the configuration names none.
func openBucket(setting string, c configs.Bucket, log *slog.Logger) (*bucket, error) {
	at, err := c.Location()
	if err != nil {
		return nil, fmt.Errorf("%s.url: %w", setting, err)
	}
	switch {
	case at.Dir != "":
		l := dir.NewLazy(dir.Options{Path: at.Dir})
		return &bucket{Store: l, close: l.Close}, nil
	case at.Bucket != "":
		s, err := s3.Open(context.Background(), s3.Options{
			Bucket: at.Bucket, Prefix: strings.Trim(at.Prefix, "/"), Endpoint: string(c.Endpoint), Region: c.Region, PathStyle: c.PathStyle,
			AccessKey: string(c.AccessKey), SecretKey: string(c.SecretKey), StorageClass: c.StorageClass, Encryption: c.SSE,
			KMSKey: c.SSEKMSKeyID, ACL: c.ACL, Tags: c.Tags, Checksum: c.Checksum, Connections: c.Workers + viewerConnections,
			StallTimeout: time.Duration(c.NoProgressTimeout), Log: log.With("setting", setting), Now: time.Now,
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", setting, err)
		}
		return &bucket{Store: s, close: func() error { return nil }}, nil
	}
	return nil, nil
}

// anotherBucket opens a bucket at the same place and by the same credentials as the server's own.
func anotherBucket(own configs.Bucket, name string, log *slog.Logger) (storage.Store, error) {
	own.URL = "s3://" + name
	b, err := openBucket("jobs", own, log)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// viewerConnections are kept open to the bucket for reading back, beside those of the uploads.
const viewerConnections = 8
