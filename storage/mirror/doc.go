// Package mirror follows every timeline by position and copies it to the spool on local disk, and from there to one store or two. It never
// delays a timeline, never lists in a playlist what the store has not confirmed, and refuses to know which store it talks to, to read
// recordings for others, or to change what another wrote.
//
// # One segment
//
// A row that a snapshot has, and the table has not, is copied (follow.go): its bytes are kept in memory (memory.go), and it is added to the
// table (table.go). The recording's own goroutine (disk.go) writes row and bytes to the spool (journal.go). plan (plan.go), a function of
// table, lane and time, decides what goes next to a store; a worker sends it (send.go). Its outcome is recorded in the table (outcome.go)
// and in the journal, and only then may a playlist list the segment (playlist.go).
//
// After a start, Recover (recover.go) fills the tables from the journals, and everything goes on from there: all who work on a recording
// hold nothing but a position in its table, so there is nothing else to restore.
//
// # Locks
//
// A recording has one lock, recording.mu. It guards the table, the positions of the lanes, what the journal knows, and what is held in
// memory. It is never held during a request, a disk access, or a wait. Methods of recording and lane that take it themselves say so; all
// others are called with it held.
//
// Other locks are taken in this order, each before those below it, and none of them while recording.mu is held:
//
//	Mirror.mu      which recordings there are, and which is a stream's newest
//	Uploader.mu    whose turn it is, how many requests there are, how hard the store may be driven; lane.due
//	memory.mu      in which order segments were taken into memory
//	Spool.mu       (of package spool) which files there are; it calls recording.Need
//	recording.mu
//	broadcast.mu, episodes.mu
//
// What wakes others (wakeDisk, wakeLanes, the broadcasts) takes none of the first five, and may be called with any of them held. A lane's
// ready bits are atomic: they are set without a lock, and read under Uploader.mu.
package mirror
