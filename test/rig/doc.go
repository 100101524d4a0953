// Package rig provides what tests of the whole program are made of: the built program as a process, encoders, a viewer that holds the
// server to its contract, a bucket behind a proxy that causes trouble. It judges only by the contract and refuses to import the inside of
// the server; only tests may import it.
package rig
