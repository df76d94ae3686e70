package journal

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Options of a journal. The zero value means the defaults.
type Options struct {
	// LockTimeout is how long Open waits for another process to let go of the file. 0: 2 s. Short: a restart may find the
	// old process still closing; long: a second engine hangs before it says who has the file.
	LockTimeout time.Duration
	// MapBytes is how much address space is set aside for the file. 0: 64 GiB (1 GiB on 32-bit systems, none on Windows). When the file
	// outgrows it, a commit waits for every read under way. Only address space: no memory.
	MapBytes int
	// AheadBytes is how much of the file is filled with zeros ahead of the log, at a time: a commit that overwrites costs
	// about half of one that makes the file longer. 0: 4 MiB; -1: none. Large: a pause when the next piece is filled.
	AheadBytes int
	// GroupBytes bounds what is committed at once. 0: 32 MiB. Small: more syncs under load; large: more memory, and a longer
	// wait for the first of the group.
	GroupBytes int
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	path     string
	opts     Options
	db       *bbolt.DB
	file     *os.File // bbolt's own: to fill pages ahead of it
	lock     *fileLock
	readOnly bool
	secret   []byte

	mu      sync.Mutex
	wake    sync.Cond // there is something in the queue, or closing
	queue   []queued
	next    uint64        // where the next batch in the queue must begin
	tail    tail          // as committed
	full    error         // no space: everything is refused until Probe succeeds
	refused int64         // bytes that the group would have needed for which there was no space
	broken  error         // for good
	lost    chan struct{} // closed: broken is set
	closing bool
	stopped chan struct{} // the committer has returned
	closed  atomic.Bool
	stats   Stats

	place            place
	unwatch, watched chan struct{} // close the one, and the watcher closes the other

	// The committer's own.
	arena    []byte // keys and values of the transaction under way: bbolt refers to them until it is committed
	fileSize int64
}

// NextSeq is the sequence that the next record will have, once all that was appended is committed.
func (j *Journal) NextSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tail.next
}

// Secret is 32 random bytes that were made with the file. Whoever has them can make lease tokens.
func (j *Journal) Secret() []byte { return j.secret }

// Path is where the file is.
func (j *Journal) Path() string { return j.path }

// Stats is what the journal has done since it was opened, and how large it is.
type Stats struct {
	Commits   uint64 // transactions, each with two syncs
	Batches   uint64 // that they held
	Appended  uint64 // records
	PutBytes  uint64 // keys and values that were put
	Records   uint64 // in the file
	NextSeq   uint64
	FileBytes int64 // length of the file
	UsedBytes int64 // without what is filled ahead or free
}

// Stats tells what the journal has done since it was opened, and how large it is.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	s := j.stats
	s.Records, s.NextSeq = j.tail.records, j.tail.next
	closed := j.closing
	j.mu.Unlock()
	if closed {
		return s
	}
	if info, err := os.Stat(j.path); err == nil {
		s.FileBytes = info.Size()
	}
	free := j.db.Stats()
	s.UsedBytes = j.used() - int64(free.FreePageN+free.PendingPageN)*int64(j.db.Info().PageSize)
	return s
}

func (j *Journal) used() (size int64) {
	_ = j.view(func(tx *bbolt.Tx) error { size = tx.Size(); return nil })
	return size
}

// Visitor is told what recovery reads, in this order: Clean; the snapshots of open runs by run; the records after the
// recovery point, in the order of the log. Damaged comes before the first record of the run that it concerns. The bytes
// that a call is given are valid only during the call. An error ends the recovery. A visitor may read the journal.
type Visitor interface {
	Clean(clean bool) // whether the last batch was that of a clean stop
	Snapshot(Snapshot) error
	Record(Record) error
	Damaged(Damage) error
}

// HeadFilter picks runs. The zero value picks all.
type HeadFilter struct {
	Workflow string
	State    *uint8
	IDPrefix string
	Since    int64  // CreatedAt >= Since, Unix milliseconds
	Until    int64  // CreatedAt < Until; 0: no bound
	Before   uint64 // only runs with a smaller number; 0: no bound
	Limit    int    // 0: 100
}

// Record is all that one turn of one run wrote: facts and the intents that follow from them. Its events have the sequences
// Seq, Seq+1, ... Seq+Count-1; the next record of the log begins at Seq+Count.
type Record struct {
	Seq   uint64 // sequence of the first event; the key in the log
	Count uint32 // number of events, at least 1
	Run   uint64 // the run's number: Seq of its first record. 0: the engine's own record (no run)
	Prev  uint64 // Seq of the run's previous record; 0: this is its first
	N     uint64 // position in the run of the first event, counting from 1
	At    int64  // Unix milliseconds
	Body  []byte // opaque to the journal

	left uint64 // run of the record directly before this one in the log; the journal sets it
}

// Head is what lists and look-ups need to know of a run without reading its records.
type Head struct {
	Run       uint64
	ID        string
	Workflow  string
	Version   uint32
	State     uint8  // the numbers are the caller's; OpenState is the one that means "running"
	LastSeq   uint64 // Seq of the last record that was written when the head was
	Events    uint64 // events in the run then
	CreatedAt int64  // Unix milliseconds
	EndedAt   int64  // 0: open
	Skipped   uint32
	Digest    []byte // of the state after LastSeq; empty: not taken then
	Failed    string // "step: code" of a failed run, for lists
}

// The two values of Head.State that the journal knows. OpenState is a run that has not ended. CompletedState is how most
// runs end: lists filtered by it read the heads, where the other states have an index.
const (
	OpenState      = 0
	CompletedState = 1
)

// Object is the durable state of one object key.
type Object struct {
	Key     string
	Version uint64
	Fence   uint64
	Seq     uint64 // of the event that wrote it
	State   []byte // JSON; nil in a Batch: remove the row
}

// Definition is one version of a workflow. Body is its canonical JSON; Digest is over Body (checked on read).
type Definition struct {
	Name    string
	Version uint32
	Digest  string // "sha256:..." as flow prints it
	Body    []byte // empty in a Batch when the digest is stored already
	At      int64
	Current bool // this version is the name's current one from now on
}

// Snapshot is the encoded state of an open run after its record Seq. In a Batch, a nil State removes it.
type Snapshot struct {
	Run   uint64
	Seq   uint64
	State []byte
}

// Purge removes a finished run: its records, head, index rows and snapshot. Its id stays as a tombstone until Until (0: no
// tombstone). The caller journals, in the same Batch, a record that says what was removed.
type Purge struct {
	Run   uint64
	Until int64
}

// Row is a small durable setting of the layers above (push services, say). A nil Value removes it.
type Row struct {
	Key   string
	Value []byte
}

// Batch is what is committed together. Records are in ascending Seq and continue the log without a gap.
type Batch struct {
	Records     []Record
	Heads       []Head
	Objects     []Object
	Definitions []Definition
	Snapshots   []Snapshot
	Purges      []Purge
	Rows        []Row
	Base        uint64 // if not 0: recovery may start from the snapshots and the records after Base
	Clean       bool   // written last by a clean stop
}

// Empty says that the batch writes nothing.
func (b *Batch) Empty() bool {
	return len(b.Records) == 0 && len(b.Heads) == 0 && len(b.Objects) == 0 && len(b.Definitions) == 0 && len(b.Snapshots) == 0 &&
		len(b.Purges) == 0 && len(b.Rows) == 0 && b.Base == 0 && !b.Clean
}
