// Package flv reads FLV tag bodies, which is what RTMP carries, and passes their content to a normalise.Stream: NAL units with their
// decoding times and signed composition offsets as sent, AAC and MP3 with their headers. It repairs nothing, reorders nothing and remembers
// no configuration but the length size. What it cannot read is counted, and a codec that our transport streams cannot carry is refused by
// name.
//
// Of several tracks of a kind in one stream it takes the first, and counts the others.
//
// Sources: Adobe FLV 10.1 (annex E), Enhanced RTMP v1 and v2 (fourcc headers, ModEx, multitrack), ISO/IEC 14496-15 (avcC, hvcC), and
// encoders that send NAL units with start codes in place of lengths.
package flv
