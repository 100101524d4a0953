// Package spool keeps the segments that are on their way to an object store in a directory of local disk, each recording
// in a folder of its own beside an append-only journal, so that a crash loses nothing that was written. It refuses to
// decide: what a segment is, when it is confirmed, and what a playlist still needs are told to it. It knows no timeline
// and no store, and starts no goroutine: whoever calls it is the one that waits for the disk.
package spool
