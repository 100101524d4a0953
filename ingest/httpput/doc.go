// Package httpput takes HLS that an encoder sends by HTTP: each segment and each playlist is a PUT or a POST. A segment is kept in memory
// until a playlist names it, and is then passed on, in the order of the playlist: as it came where it is as a segment has to be, else frame by
// frame. It writes nothing to a disk itself, waits for no bucket, answers nobody who wants to read, follows no address in a playlist, and refuses
// what it cannot carry with words for the person at the encoder.
package httpput
