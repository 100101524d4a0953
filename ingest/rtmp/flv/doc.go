// Package flv turns FLV tag bodies, which is what RTMP carries, into frames: H.264 and H.265 with their decode times and
// composition offsets as they were sent, AAC and MP3. It repairs nothing and reorders nothing: what it cannot understand
// it drops and counts, and a codec that a transport stream of ours cannot carry is a refusal that names it.
//
// Sources: Adobe FLV 10.1 (annex E), Enhanced RTMP v1 and v2 (fourcc headers), ISO/IEC 14496-15 (avcC, hvcC).
package flv
