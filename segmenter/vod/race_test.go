//go:build race

package vod

const raceEnabled = true
