// Package origin answers viewers and CDNs over HTTP: playlists as the segmenter rendered them, segments from memory or
// from an archive, each with the header fields a cache needs to do the right thing. What is answered is decided in one
// pass over the request and the newest snapshot: resolve, select, transform, deliver. The engine below, origin/http1, carries
// it onto a connection. It refuses to render a live playlist, to know what a bucket or a file layout is, to redirect, to set a
// cookie, and to touch a socket.
package origin
