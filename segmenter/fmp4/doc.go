// Package fmp4 renders segments of the server's transport streams as CMAF (ISO/IEC 23000-19): fragments of one track each, and
// the init segments that decoders need before them. What comes out is a function of the segment's bytes, its number, its wall
// time and its duration: so what is on the air and what lies in a bucket for years give the same. It does no I/O, keeps nothing
// between two segments but memory to work in, and refuses to re-time anything: the time stamps of the stream go out as they
// are, unwrapped.
//
// A Movie makes one file of segments for who takes a recording home: it alone has times of its own, from zero on.
//
// Input is not trusted: what is damaged is an error, and no input makes it take more memory than some times the input's size.
package fmp4
