// Package normalise stands between a protocol server and the ingest.Session. It turns what an encoder sends into what the segmenter can
// rely on: complete access units with a configuration, on one timeline for both tracks. It looks at the bitstream where it can, because
// transports are often wrong: a message is not a picture, a flag is not a header, a timestamp is not a promise. What cannot be used is
// dropped, counted in the publisher's ingest.Ledger, and logged once.
//
//   - Slices of one picture that come in several messages become one access unit; parameter sets, SEI and delimiters in
//     messages of their own join the picture that they belong to.
//   - Parameter sets in band make a new configuration, as those in a sequence header do. A repeated one changes nothing, and
//     a bad or empty header never replaces a good one. AAC may come with ADTS headers, or without any.
//   - Composition offsets are signed. PTS stays what the encoder sent; DTS is lowered by the smallest constant that keeps
//     it from being after any PTS. DTS rises strictly.
//   - Tracks whose clocks began at different times are aligned by their arrival.
//
// An ordinary encoder pays nothing for this: the first pictures of a connection are held for a moment to learn how it sends; after that
// each message is passed on as it arrives, without a copy or an allocation.
//
// It speaks no protocol, derives no DTS where there is none, waits for nobody, starts no goroutine, and has no clock but the times of
// arrival that it is given.
package normalise
