package journaltest

import (
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// Log is what an engine wants of a journal. journal.Journal documents the methods.
type Log interface {
	Append(b *journal.Batch, done func(error))
	Probe() error
	NextSeq() uint64
	Secret() []byte
	Recover(v journal.Visitor) error
	Get(seq uint64) (journal.Record, error)
	GetMany(seqs []uint64, fn func(i int, r journal.Record) error) error
	Scan(after uint64, limit int, fn func(journal.Record) error) error
	RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error)
	Head(run uint64) (journal.Head, bool, error)
	Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error)
	Heads(f journal.HeadFilter) ([]journal.Head, error)
	Object(key string) (journal.Object, bool, error)
	Objects(prefix, after string, limit int) ([]journal.Object, error)
	Definitions() ([]journal.Definition, error)
	DefinitionBody(digest string) ([]byte, error)
	Row(key string) (value []byte, ok bool, err error)
	Rows(prefix string) ([]journal.Row, error)
	Close() error
}

var _ Log = (*journal.Journal)(nil)

// Open opens the journal in a directory, and creates it when there is none yet.
type Open func(t *testing.T, dir string) Log

// Run checks a kind of journal against all rules.
func Run(t *testing.T, open Open) {
	for _, rule := range []struct {
		name string
		test func(*bench)
	}{
		{"WhatWasAcknowledgedIsThereAfterReopening", reopening},
		{"BatchesAreAcknowledgedInOrder", order},
		{"TheLogIsReadFromAnyPlace", reading},
		{"AHistoryIsReadInPages", history},
		{"RecoveryGivesSnapshotsAndTheTail", recovery},
		{"WhatWasWrittenLastCounts", rows},
		{"RunsAreListedNewestFirst", lists},
		{"APurgedRunIsGone", purges},
		{"ReadersDoNotStopAppends", together},
	} {
		t.Run(rule.name, func(t *testing.T) {
			b := &bench{T: t, open: open, dir: t.TempDir(), last: map[uint64]journal.Record{}}
			b.reopen()
			rule.test(b)
		})
	}
}
