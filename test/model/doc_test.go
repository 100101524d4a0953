// Package model checks, on a small model, what several servers on one bucket do to each other: random schedules of encoders that move or push
// twice, crashes, processes that stand still, partitions, and requests whose answers are lost or that take effect late. It refuses to test
// the program: it says which rules the program has to keep.
package model
