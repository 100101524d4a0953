package s3

import (
	"fmt"
	"testing"

	"github.com/hlsorigin/hlsorigin/storage"
	"github.com/hlsorigin/hlsorigin/storage/storetest"
)

// The servers in common use keep the contract, except for what each is known to lack.
func TestConformanceOfPrograms(t *testing.T) {
	for _, p := range storetest.Programs() {
		if p.Name == "versitygw" {
			continue // TestConformanceVersitygw
		}
		t.Run(p.Name, func(t *testing.T) {
			server, n := p.Start(t, t.TempDir(), ""), 0 // some need seconds for that
			storetest.RunBut(t, p.Lacks, func(t *testing.T) storage.Store {
				o := options(t, server)
				o.Prefix = fmt.Sprint("some/prefix", n) // each part finds it empty
				n++
				return open(t, o)
			})
		})
	}
}
