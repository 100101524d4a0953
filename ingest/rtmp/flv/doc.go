// Package flv reads FLV tag bodies, which is what RTMP carries, and hands what is in them to a normalise.Stream: NAL units
// with their decode times and signed composition offsets as they were sent, AAC and MP3 with their headers. It repairs
// nothing, reorders nothing and remembers no configuration but the length of lengths: what it cannot read it has counted,
// and a codec that a transport stream of ours cannot carry is a refusal that names it.
//
// Of several tracks of a kind in one stream the first is taken, and the others are counted.
//
// Sources: Adobe FLV 10.1 (annex E), Enhanced RTMP v1 and v2 (fourcc headers, ModEx, multitrack), ISO/IEC 14496-15 (avcC,
// hvcC), and encoders that send NAL units with start codes where lengths belong.
package flv
