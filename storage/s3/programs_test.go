package s3

import (
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
			storetest.RunBut(t, p.Lacks, func(t *testing.T) storage.Store {
				o := options(t, p.Start(t, t.TempDir(), ""))
				o.Prefix = "some/prefix"
				return open(t, o)
			})
		})
	}
}
