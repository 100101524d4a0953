// Package http1 is the HTTP/1.1 engine under a server of cacheable files: it reads requests without a body, over plain TCP and TLS, and
// sends what a Handler answers, from memory, in pieces or from a file. A poll of something small costs it no goroutine and no allocation.
// HTTP/2, if a TLS client asks for it, is spoken by net/http, under the same rules. The package refuses to read a request body, to guess at
// a request that two servers could read in two ways, to let one slow or silent client cost another anything, and to know what is served.
package http1
