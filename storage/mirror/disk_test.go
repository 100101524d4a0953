package mirror_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hlsorigin/hlsorigin/storage/spool"
)

// No record opens a number, except the first, without any of it on disk: a crash just then would leave a gap where nothing was ever shown.
func TestNoNumberIsOpenedWithoutAByte(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		looked, newest := 0, uint64(0)
		r.so.FS.Write = func(f *os.File, p []byte, off int64) error {
			_, err := f.WriteAt(p, off)
			if name := filepath.Base(f.Name()); name != "journal" && name != ".journal.tmp" {
				return err
			}
			text, readErr := os.ReadFile(f.Name())
			if readErr != nil { // it has got its name since it was opened
				text, readErr = os.ReadFile(filepath.Join(filepath.Dir(f.Name()), "journal"))
			}
			if readErr != nil {
				t.Error(readErr)
			}
			s, _, readErr := spool.Read(text)
			if readErr != nil || s.Next <= max(newest, 1) {
				return err
			}
			newest = s.Next
			looked++
			found := 0
			for _, pattern := range []string{"%09d.ts", ".%09d.ts.tmp"} {
				if _, missing := os.Lstat(filepath.Join(filepath.Dir(f.Name()), fmt.Sprintf(pattern, newest-1))); missing == nil {
					found++
				}
			}
			if found == 0 {
				t.Errorf("number %d is opened, and nothing of it is there", newest-1)
			}
			return err
		}
		r.start()
		e := r.publish("cam", 3000)
		e.run(40 * time.Second)
		e.end()
		r.settled(time.Minute)
		if looked < 5 {
			t.Errorf("%d numbers were looked at", looked)
		}
	})
}
