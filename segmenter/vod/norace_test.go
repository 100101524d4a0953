//go:build !race

package vod

const raceEnabled = false
