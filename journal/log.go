package journal

import (
	"errors"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/meter"
)

// Log is a journal: what an engine writes to and reads from. Its methods may be called from any goroutine. What a read could
// not understand is a *DamageError.
type Log interface {
	// NextSeq is the sequence that the next record will have, once all that was appended is committed.
	NextSeq() uint64
	// Secret is 32 random bytes that were made with the journal. Whoever has them can make lease tokens.
	Secret() []byte
	// Created says whether there was no journal, and it was made when it was opened.
	Created() bool
	// Runs counts the runs, open and ended, up to limit.
	Runs(limit int) (int, error)
	// States gives how many runs are in each state; what changes meanwhile may count as before or as after.
	States() (map[uint8]int, error)
	// Recover tells v what an engine needs to go on.
	Recover(v Visitor) error

	// Append puts a batch into the queue and returns at once; package doc, rule 5, says what done may be told.
	Append(b *Batch, done func(error))
	// Probe commits as much as was refused last, to see whether there is space again.
	Probe() error

	// Get gives the record that holds an event, GetMany several of them.
	Get(seq uint64) (Record, error)
	GetMany(seqs []uint64, fn func(i int, r Record) error) error
	// Scan gives up to limit records (0: all) that hold events after a sequence, in the order of the log.
	Scan(after uint64, limit int, fn func(Record) error) error
	// RunRecords gives up to limit records (0: all) of a run, from the one that holds its event fromN up to the one at the
	// sequence last.
	RunRecords(run, last, fromN uint64, limit int) ([]Record, error)
	// Lookup finds a run by its id. A deleted run's id has a time until which it is kept, in Unix milliseconds.
	Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error)
	Head(run uint64) (Head, bool, error)
	// Heads gives a page of runs, newest first.
	Heads(f HeadFilter) (HeadPage, error)
	Snapshot(run uint64) (Snapshot, bool, error)

	Object(key string) (Object, bool, error)
	// Objects gives up to limit objects (0: all) whose keys begin with prefix and come after a key, in order. One that cannot be
	// read is given with what is wrong with it.
	Objects(prefix, after string, limit int) ([]Object, error)
	// Definitions gives every version of every workflow, without its body. Those that cannot be read are left out, and the error
	// is Damages then; none of a workflow of which it cannot be read is current.
	Definitions() ([]Definition, error)
	DefinitionBody(digest string) ([]byte, error)
	Row(key string) (value []byte, ok bool, err error)
	// Rows gives those whose keys begin with prefix, by key. One that cannot be read, and is one of them by its key or may be, is
	// given with what is wrong with it and without its value.
	Rows(prefix string) ([]Row, error)
	// RowsAfter gives up to limit of them that come after a key.
	RowsAfter(prefix, after string, limit int) ([]Row, error)

	// Said gives what the attempts of a run wrote to their logs, of one step or ("") of all, after a place: attempt by attempt, each
	// whole and in the order of its pieces, until more than limit bytes (0: all) are given.
	Said(run uint64, step string, after SaidMark, limit int) ([]Said, error)

	Stats() Stats
	// Broken is closed when the journal has stopped by itself, and Err says why then: an ErrBroken or an ErrFenced.
	Broken() <-chan struct{}
	Err() error
	// Close commits what is queued.
	Close() error
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

// ScanPast is a scan of the log (Log.Scan) that goes on behind damage. damage is told of each, and of the last sequence that was read before it; an error of it
// ends the scan, as damage does of which nobody knows where it ends.
func ScanPast(scan func(after uint64, limit int, fn func(Record) error) error, after uint64, record func(Record) error, damage func(after uint64, d Damage) error) error {
	for {
		err := scan(after, 0, func(r Record) error {
			after = r.End() - 1
			return record(r)
		})
		var d *DamageError
		if !errors.As(err, &d) {
			return err
		}
		if told := damage(after, d.Damage); told != nil {
			return told
		}
		if d.Seq == 0 {
			return err
		}
		after = d.End() - 1
	}
}

// HeadFilter picks runs, and says in which order: by number, which is the order in which they were started, or by end. The
// zero value picks all.
type HeadFilter struct {
	Workflow   string
	States     []uint8 // any of them; none: all
	IDPrefix   string
	Tags       []string           // a run has all of them
	Since      int64              // CreatedAt >= Since, Unix milliseconds
	Until      int64              // CreatedAt < Until; 0: no bound
	EndedSince int64              // EndedAt >= EndedSince; a bound on the end picks ended runs alone
	EndedUntil int64              // EndedAt < EndedUntil; 0: no bound
	Keep       func(h *Head) bool // what else must hold; nil: nothing
	ByEnd      bool               // the newest end first, and ended runs alone
	After      HeadMark           // only runs behind this one, in the order of the list; zero: from the newest
	Limit      int                // 0: 100
	Look       int                // rows to look at, at most; 0: no bound
}

// HeadMark is a run's place in a list. Ended counts only in a list by end.
type HeadMark struct {
	Ended int64
	Run   uint64
}

// HeadPage is a part of a list. Next is where the next part goes on (HeadFilter.After); a zero Next: there is none.
type HeadPage struct {
	Heads []Head
	Next  HeadMark
}

// Match says whether a head is picked. It does not look at After.
func (f *HeadFilter) Match(h *Head) bool {
	ended := f.ByEnd || f.EndedSince != 0 || f.EndedUntil != 0
	return (f.Workflow == "" || h.Workflow == f.Workflow) && (len(f.States) == 0 || slices.Contains(f.States, h.State)) &&
		strings.HasPrefix(h.ID, f.IDPrefix) && h.CreatedAt >= f.Since && (f.Until == 0 || h.CreatedAt < f.Until) &&
		f.tagged(h) && (!ended || h.EndedAt != 0) && h.EndedAt >= f.EndedSince && (f.EndedUntil == 0 || h.EndedAt < f.EndedUntil) && (f.Keep == nil || f.Keep(h))
}

func (f *HeadFilter) tagged(h *Head) bool {
	for _, tag := range f.Tags {
		if _, has := slices.BinarySearch(h.Tags, tag); !has {
			return false
		}
	}
	return true
}

// Mark is a head's place in a list of the filter.
func (f *HeadFilter) Mark(h *Head) HeadMark {
	if f.ByEnd {
		return HeadMark{Ended: h.EndedAt, Run: h.Run}
	}
	return HeadMark{Run: h.Run}
}

// Before says whether a place comes earlier in a list than another: what is newer does.
func (m HeadMark) Before(n HeadMark) bool {
	return m.Ended > n.Ended || m.Ended == n.Ended && m.Run > n.Run
}

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

	CommitTook    meter.Histogram // from a transaction's begin to its end on stable storage
	CommitRecords meter.Sizes     // records that each held
}

// Touched is what a record has changed that only its body names.
type Touched struct {
	IDs     []string // of runs that were deleted
	Bodies  []string // digests of definitions
	Objects []string // keys of objects
}
