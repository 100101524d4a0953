package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Append adds records to the journal. If that fails, they are kept and written first the next time, so the caller need not remember them.
// If they become too many, see Rewrite.
func (f *Folder) Append(b *Batch) error {
	f.pending.buf = append(f.pending.buf, b.buf...)
	if f.broken {
		return errRewrite
	}
	return f.flush()
}

// errRewrite requests a Rewrite.
var errRewrite = errors.New("spool journal: must be written anew")

// Broken reports whether the whole journal must be given, with Rewrite: it is new, its file was removed or could not be synced, or too much
// is waiting for it.
func (f *Folder) Broken() bool { return f.broken }

func (f *Folder) flush() error {
	if len(f.pending.buf) == 0 {
		return nil
	}
	err := f.append()
	if full(err) && f.s.evict(int64(len(f.pending.buf))+copySlack) {
		err = f.append()
	}
	if err != nil {
		f.s.stats.Errors.Add(1)
		if f.gone() || len(f.pending.buf) > mergeLimit {
			f.breakJournal()
		}
		return fmt.Errorf("spool journal: %w", err)
	}
	f.pending.Reset()
	if f.s.o.Sync == Always {
		return f.Sync()
	}
	return nil
}

// append writes what is pending after the intact part, over anything that a failed write may have left there.
func (f *Folder) append() error {
	if err := f.s.fs.Write(f.journal, f.pending.buf, f.off); err != nil {
		return err
	}
	f.off += int64(len(f.pending.buf))
	f.unsafe = true
	return nil
}

// gone reports whether the open journal no longer has its name.
func (f *Folder) gone() bool {
	ours, err := f.journal.Stat()
	if err != nil {
		return true
	}
	named, err := os.Lstat(f.path(journalName))
	return errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(ours, named)
}

// Check detects a journal whose file was removed; call it after an error.
func (f *Folder) Check() {
	if f.journal != nil && f.gone() {
		f.breakJournal()
	}
}

func (f *Folder) breakJournal() {
	f.broken, f.made = true, false
	f.pending = Batch{}
	if f.journal != nil {
		_ = f.journal.Close() // its content is useless now
		f.journal = nil
	}
}

// Sync makes everything appended durable, whatever the policy.
func (f *Folder) Sync() error {
	if f.journal == nil || !f.unsafe {
		return nil
	}
	if err := f.s.fs.Sync(f.journal); err != nil {
		// What was not synced may be lost even if later syncs succeed: the file is no longer trusted.
		f.s.stats.Errors.Add(1)
		f.breakJournal()
		return fmt.Errorf("spool journal: %w", err)
	}
	f.unsafe = false
	return nil
}

// Durable does what the policy requires after important records: a sync, unless it is Never.
func (f *Folder) Durable() error {
	if !f.durable() {
		return nil
	}
	return f.Sync()
}

// MarkSynced makes everything durable and says so in the journal, so that the next start can trust it even under Never. It is for an
// orderly stop.
func (f *Folder) MarkSynced() error {
	if err := f.Sync(); err != nil {
		return err
	}
	var b Batch
	b.synced()
	if err := f.Append(&b); err != nil {
		return err
	}
	return f.Sync()
}

// Rewrite atomically replaces the journal by one with just these records: a crash leaves the old one or the new one. Waiting records are
// dropped, because the new ones include them.
func (f *Folder) Rewrite(b *Batch) error {
	err := f.rewrite(b)
	if full(err) && f.s.evict(int64(len(b.buf))+copySlack) {
		err = f.rewrite(b)
	}
	if err != nil {
		f.s.stats.Errors.Add(1)
		f.made = false
		return fmt.Errorf("spool journal: %w", err)
	}
	return nil
}

func (f *Folder) rewrite(b *Batch) (err error) {
	if err := f.make(); err != nil {
		return err
	}
	temp := f.path(rewriteName)
	out, err := f.s.fs.Open(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if errors.Is(err, errNoFile) && f.s.fs.Remove(temp) == nil { // nobody else has reason to use this name
		out, err = f.s.fs.Open(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = out.Close()
			_ = f.s.fs.Remove(temp) // the first error is the one that matters
		}
	}()
	head := Batch{buf: []byte(magic)}
	head.begin(f.id)
	head.session(f.s.o.BootID, f.s.o.Sync)
	whole := append(head.buf, b.buf...)
	if err = f.s.fs.Write(out, whole, 0); err != nil {
		return err
	}
	// Whatever the policy: if the rename reached the disk before the bytes, neither journal would be left.
	if err = f.s.fs.Sync(out); err != nil {
		return err
	}
	if err = f.s.fs.Rename(temp, f.path(journalName)); err != nil {
		return err
	}
	if f.durable() {
		if err = f.s.fs.SyncDir(f.dir); err != nil {
			return err
		}
	}
	if f.journal != nil {
		_ = f.journal.Close() // replaced
	}
	f.journal, f.off, f.broken, f.unsafe = out, int64(len(whole)), false, false
	f.pending.Reset()
	return nil
}
