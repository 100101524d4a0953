// Package transcode makes the lower rungs of a ladder with an external ffmpeg. It stands between a protocol server and the registry: what
// an encoder publishes as cam continues unchanged as cam_source, and one supervised process per publisher makes cam_720p, cam_480p and so
// on from a copy of its pictures, on the same timeline and with keyframes at the same places.
//
// The copy goes through a bounded feed: a process that is slow, hangs or dies costs rungs, never a frame or a moment of the source. Audio
// does not pass through the process at all; each rung carries the source's own frames.
//
// The package refuses to transcode by itself, to run anything through a shell, and to let anything that a publisher sends become part of a
// command line.
package transcode
