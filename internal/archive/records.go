package archive

import (
	"errors"
	"iter"

	"github.com/agnt5/agnt5d/journal"
)

// pageRecords and pageBytes are about how much of the log is read in one transaction.
const (
	pageRecords = 512
	pageBytes   = 256 << 10
)

// Records gives every record that holds events after a sequence, in the order of the log. In the place of a record that cannot be
// read stands an error that is a Gap, and what follows it comes next. Any other error is the last. A record and its body may be used
// until the next one is asked for.
func (a *Archive) Records(after uint64) iter.Seq2[*journal.Record, error] {
	return func(yield func(*journal.Record, error) bool) {
		var p page
		for {
			from := after
			err := p.read(a.j, after)
			for i := range p.records {
				after = p.records[i].End() - 1
				if !yield(&p.records[i], nil) {
					return
				}
			}
			gap, is := Gap(err)
			switch {
			case is && gap.End()-1 > after:
				after = gap.End() - 1
				if !yield(nil, err) {
					return
				}
			case err != nil:
				yield(nil, err)
				return
			case after == from:
				return
			}
		}
	}
}

// Gap says whether an error stands in the place of a damaged record, and gives the damage.
func Gap(err error) (journal.Damage, bool) {
	var d *journal.DamageError
	if errors.As(err, &d) && d.Seq != 0 {
		return d.Damage, true
	}
	return journal.Damage{}, false
}

// page is a piece of the log, copied out of its transaction. Its memory is used again for the next.
type page struct {
	records []journal.Record
	bytes   []byte
}

var errPageFull = errors.New("the page is full")

func (p *page) read(j Log, after uint64) error {
	p.records, p.bytes = p.records[:0], p.bytes[:0]
	err := j.Scan(after, pageRecords, func(rec journal.Record) error {
		if len(p.bytes) > pageBytes {
			return errPageFull
		}
		from := len(p.bytes)
		p.bytes = append(p.bytes, rec.Body...)
		rec.Body = p.bytes[from:len(p.bytes):len(p.bytes)]
		p.records = append(p.records, rec)
		return nil
	})
	if errors.Is(err, errPageFull) {
		return nil
	}
	return err
}

// Run gives a run's records in order, from the one that holds its event fromN (counting from 1) up to the one at the sequence last.
// An error is the last that it gives.
func (a *Archive) Run(run, last, fromN uint64) iter.Seq2[*journal.Record, error] {
	return func(yield func(*journal.Record, error) bool) {
		for {
			records, err := a.j.RunRecords(run, last, fromN, pageRecords)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range records {
				if !yield(&records[i], nil) || records[i].Seq >= last {
					return
				}
			}
			if len(records) == 0 {
				return
			}
			fromN = records[len(records)-1].Last() + 1
		}
	}
}
