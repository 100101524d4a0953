package storetest

import (
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) storage.Store { return &Memory{} })
}

func TestFaultyWithoutFaults(t *testing.T) {
	Run(t, func(*testing.T) storage.Store { return NewFaulty(&Memory{}) })
}
