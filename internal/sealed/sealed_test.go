package sealed

import (
	"errors"
	"testing"

	"github.com/agnt5/agnt5d/journal"
)

// shift is a codec that does not hide anything.
type shift struct{}

func (shift) KeyID() string                                 { return "one" }
func (shift) Seal(plain, _ []byte) []byte                   { return append([]byte("!"), plain...) }
func (shift) Open(_ string, text, _ []byte) ([]byte, error) { return text[1:], nil }

// full is a journal that finds no space for its first batches.
type full struct {
	journal.Log
	left int
	rows []journal.Row // of what is written
}

func (f *full) Rows(string) ([]journal.Row, error) { return f.rows, nil }

func (f *full) Append(b *journal.Batch, done func(error)) {
	if f.left--; f.left >= 0 {
		done(errors.New("no space"))
		return
	}
	f.rows = append(f.rows, b.Rows...)
	done(nil)
}

// A new key is noted with the first batch that is written, and not with one that finds no space: else the journal would be opened
// without the key that sealed it.
func TestTheProofOfAKeyIsNotLostWithABatch(t *testing.T) {
	j := &full{left: 2}
	log, err := Wrap(j, shift{})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for range 4 {
		log.Append(&journal.Batch{Snapshots: []journal.Snapshot{{Run: 1, State: []byte("x")}}}, func(err error) {
			if err != nil {
				failed++
			}
		})
	}
	if failed != 2 || len(j.rows) != 1 || j.rows[0].Key != rowPrefix+"one" {
		t.Errorf("%d batches failed, and these rows are written: %v", failed, j.rows)
	}
	if _, err := Wrap(j, nil); !errors.Is(err, ErrKey) {
		t.Errorf("without the key: %v", err)
	}
}
