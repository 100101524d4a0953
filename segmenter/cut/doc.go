// Package cut decides where segments begin and end. A Line puts a publisher's access units on one timeline, a Cutter turns them into
// events, and a Policy decides the places; Solo is the policy of a single stream. Unless stated otherwise, all times are 90 kHz ticks. The
// package is a function of its input: it writes nothing, uses no clock, locks nothing, and refuses to know what becomes of its events.
package cut
