// Package normalise stands between a protocol server and the ingest.Session, and makes of what an encoder sends what the
// segmenter may rely on: whole access units with a configuration, on one time line for both tracks. It looks at the
// bitstream where it can, for transports are often wrong about it: a message is no picture, a flag no header, a time stamp
// no promise. What cannot be used is dropped and counted in the publisher's ingest.Ledger, and said once in words.
//
//   - Slices of one picture that come in several messages become one access unit; parameter sets, SEI and delimiters in
//     messages of their own join the picture that they belong to.
//   - Parameter sets in band make a new configuration as those in a sequence header do. A repeated one changes nothing, and
//     a bad or empty header never takes the place of a good one. AAC may come with ADTS headers, or without any.
//   - Composition offsets are signed. PTS stays what the encoder sent; DTS is lowered by the smallest constant that is not
//     after any PTS. DTS rises strictly.
//   - Tracks whose clocks began at different times are put beside each other by their arrival.
//
// An ordinary encoder pays nothing for it: after the first pictures of a connection, which are held for a moment to learn
// its ways, each message is handed on as it comes, without a copy and without an allocation.
//
// It speaks no protocol, derives no DTS where there is none, waits for nobody, starts no goroutine, and knows no clock but
// the times of arrival that it is handed.
package normalise
