// Package spool keeps segments on their way to an object store in a directory on local disk, each recording in its own folder with an
// append-only journal, so that a crash loses nothing that was written. It refuses to decide: its callers tell it what a segment is, when it
// is confirmed, and what a playlist still needs. It knows no timeline and no store, and starts no goroutine: its callers wait for the disk.
package spool
