// Package rig is what tests of the whole program are made of: the built program as a process, encoders, a viewer who holds
// the server to its contract, a bucket behind a proxy that makes trouble. It judges by the contract alone and imports nothing
// of how the server works inside; nothing but tests may import it.
package rig
