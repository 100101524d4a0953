// Package cut decides where segments begin and end. A Line puts a publisher's access units on one time line, a Cutter makes
// events of them, and asks a Policy for the places; Solo is that of a stream on its own. All times are ticks of 90 kHz, where
// nothing else is said. The package is a function of what it is given: it writes nothing, looks at no clock, locks nothing,
// and refuses to know what becomes of its events.
package cut
