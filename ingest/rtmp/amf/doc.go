// Package amf reads and writes AMF0 (Adobe Action Message Format, version 0), as RTMP commands and metadata use it. It reads hostile bytes
// within stated bounds on depth, count and memory; it refuses the markers that no encoder sends (movie clip, record set, references)
// instead of guessing their length.
package amf
