package spool

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"time"
)

// magic begins every journal and states the version of its format.
const magic = "hlsorigin journal 1\n"

// The kinds of record. The numbers are part of the format and are never reused.
const (
	recBegin      byte = 1  // app, stream, recording
	recSession    byte = 2  // boot id, sync policy: a process begins to append
	recMeta       byte = 3  // JSON of Meta
	recOpened     byte = 4  // number, last frame: the number is used from now on
	recRow        byte = 5  // a row of the segment table
	recConfirmed  byte = 6  // target, first number, count
	recDropped    byte = 7  // first number, count: the bytes are gone for good
	recSplit      byte = 8  // first number, name: a new timestamped playlist begins
	recFinal      byte = 9  // target, first number: that timestamped playlist is final in the store
	recSeen       byte = 10 // last frame
	recSuperseded byte = 11 // a newer recording owns the stream's stable entry
	recEnded      byte = 12 // no further number will be opened
	recSynced     byte = 13 // everything before this is on disk
	recLadder     byte = 14 // JSON of Ladder: the folder is a ladder's, and has no segments
	recDoubt      byte = 15 // target, key, SHA-256: a write of that playlist got no answer, and may be carried out late
	recSure       byte = 16 // target, key: nothing about that playlist is in doubt any more
	recTracks     byte = 17 // target, first number, count, CRC-32C of the init segments of video and audio: these are there as CMAF
	recStoodDown  byte = 18 // target: another server has the stream there, the recording's playlists must not be written any more
	recLast            = recStoodDown
)

// A record is: payload length, 2 bytes little endian; kind, 1 byte; payload; CRC-32C of all that, 4 bytes little endian.
const (
	recordHead = 3
	recordTail = 4
	maxPayload = 1<<16 - 1
)

// Row flags.
const (
	rowDiscontinuity = 1 << iota
	rowIndependent
	rowGap
)

// Batch collects records for one append. The zero value is ready to use.
type Batch struct{ buf []byte }

// Len returns the number of bytes collected.
func (b *Batch) Len() int { return len(b.buf) }

// Equal reports whether two batches hold the same records.
func (b *Batch) Equal(o *Batch) bool { return bytes.Equal(b.buf, o.buf) }

// Reset drops the records and keeps the memory.
func (b *Batch) Reset() { b.buf = b.buf[:0] }

func (b *Batch) open(kind byte) (start int) {
	b.buf = append(b.buf, 0, 0, kind)
	return len(b.buf) - recordHead
}

func (b *Batch) seal(start int) {
	n := len(b.buf) - start - recordHead
	if n > maxPayload { // only a name or meta beyond every limit could; such a record is not worth a broken journal
		b.buf = b.buf[:start]
		return
	}
	binary.LittleEndian.PutUint16(b.buf[start:], uint16(n))
	b.buf = binary.LittleEndian.AppendUint32(b.buf, checksum(b.buf[start:]))
}

func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }

func (b *Batch) uint(v uint64) { b.buf = binary.AppendUvarint(b.buf, v) }
func (b *Batch) text(s string) { b.uint(uint64(len(s))); b.buf = append(b.buf, s...) }

// time appends nanoseconds since 1970, 0 for the zero time.
func (b *Batch) time(t time.Time) {
	var ns int64
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	b.buf = binary.AppendVarint(b.buf, ns)
}

func (b *Batch) begin(id ID) {
	at := b.open(recBegin)
	b.text(id.App)
	b.text(id.Stream)
	b.text(id.Recording)
	b.seal(at)
}

func (b *Batch) session(boot string, sync Sync) {
	at := b.open(recSession)
	b.text(boot)
	b.text(string(sync))
	b.seal(at)
}

func (b *Batch) synced() { b.seal(b.open(recSynced)) }

// Later appends records that a later version wrote, as State has them.
func (b *Batch) Later(records []byte) { b.buf = append(b.buf, records...) }

// Meta replaces what is known about the recording as a whole.
func (b *Batch) Meta(m Meta) {
	at := b.open(recMeta)
	p, _ := json.Marshal(m) // plain fields: it cannot fail
	b.buf = append(b.buf, p...)
	b.seal(at)
}

// Ladder replaces what is known about a ladder.
func (b *Batch) Ladder(l Ladder) {
	at := b.open(recLadder)
	p, _ := json.Marshal(l) // plain fields: it cannot fail
	b.buf = append(b.buf, p...)
	b.seal(at)
}

// Doubt records that a write of a playlist to the target got no answer, and may be carried out late.
func (b *Batch) Doubt(d Doubt) {
	at := b.open(recDoubt)
	b.buf = append(b.buf, byte(d.Target))
	b.text(d.Key)
	b.buf = append(b.buf, d.Body[:]...)
	b.seal(at)
}

// Sure records that nothing about a playlist in the target is in doubt any more.
func (b *Batch) Sure(target int, key string) {
	at := b.open(recSure)
	b.buf = append(b.buf, byte(target))
	b.text(key)
	b.seal(at)
}

// Opened records that the number is used: it must never be used again, whatever becomes of its bytes.
func (b *Batch) Opened(sequence uint64, lastFrame time.Time) {
	at := b.open(recOpened)
	b.uint(sequence)
	b.time(lastFrame)
	b.seal(at)
}

// Row appends a row of the segment table. Rows come in order; an omitted number is unknown. Confirmed and Dropped have their own records
// and are not part of the row's.
func (b *Batch) Row(r Row) {
	var flags byte
	if r.Discontinuity {
		flags |= rowDiscontinuity
	}
	if r.Independent {
		flags |= rowIndependent
	}
	if r.Gap {
		flags |= rowGap
	}
	at := b.open(recRow)
	b.uint(r.Sequence)
	b.time(r.Start)
	b.uint(uint64(r.Duration))
	b.uint(uint64(r.Size))
	b.buf = binary.LittleEndian.AppendUint32(b.buf, r.CRC32C)
	b.buf = append(b.buf, flags)
	b.uint(r.DiscontinuitySequence)
	if r.Cues != "" || r.Running != "" { // behind all that earlier versions read of it
		b.text(r.Cues)
		b.text(r.Running)
	}
	b.seal(at)
}

// Confirmed records that the target (0 to 7) holds count segments from first on.
func (b *Batch) Confirmed(target int, first, count uint64) {
	at := b.open(recConfirmed)
	b.buf = append(b.buf, byte(target))
	b.uint(first)
	b.uint(count)
	b.seal(at)
}

// Tracks records that the target (0 to 7) is done with count segments from first on as CMAF: it holds what c says of each, or c says that
// nothing can be made of them.
func (b *Batch) Tracks(target int, first, count uint64, c Coding) {
	at := b.open(recTracks)
	b.buf = append(b.buf, byte(target))
	b.uint(first)
	b.uint(count)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, c.Video)
	b.buf = binary.LittleEndian.AppendUint32(b.buf, c.Audio)
	b.seal(at)
}

// Dropped records that the bytes of count segments from first on were lost before every target had them.
func (b *Batch) Dropped(first, count uint64) {
	at := b.open(recDropped)
	b.uint(first)
	b.uint(count)
	b.seal(at)
}

// Split records that a timestamped playlist with that name begins with the number.
func (b *Batch) Split(s Split) {
	at := b.open(recSplit)
	b.uint(s.First)
	b.text(s.Name)
	b.seal(at)
}

// Final records that the target holds the finished playlist of the split that begins with first.
func (b *Batch) Final(target int, first uint64) {
	at := b.open(recFinal)
	b.buf = append(b.buf, byte(target))
	b.uint(first)
	b.seal(at)
}

// Seen records when the newest frame came.
func (b *Batch) Seen(lastFrame time.Time) {
	at := b.open(recSeen)
	b.time(lastFrame)
	b.seal(at)
}

// Superseded records that a newer recording of the stream exists.
func (b *Batch) Superseded() { b.seal(b.open(recSuperseded)) }

// StoodDown records that another server has the stream in the target (0 to 7), and that no playlist of the recording may be written there
// any more.
func (b *Batch) StoodDown(target int) {
	at := b.open(recStoodDown)
	b.buf = append(b.buf, byte(target))
	b.seal(at)
}

// Ended records that the recording is over.
func (b *Batch) Ended() { b.seal(b.open(recEnded)) }
