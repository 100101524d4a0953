//go:build !race

package fmp4

const raceEnabled = false
