// Package origin answers viewers and CDNs over HTTP: playlists as the segmenter rendered them, segments from memory or from an archive,
// each with the header fields that a cache needs to do the right thing. One pass over the request and the newest snapshot decides the
// answer: resolve, select, transform, deliver. The engine below, origin/http1, sends it over a connection. The package refuses to render a
// live playlist, to know the layout of buckets and files, to redirect, to set a cookie, and to touch a socket.
package origin
