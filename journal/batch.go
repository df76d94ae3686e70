package journal

import "fmt"

// Batch is what is committed together. Records are in ascending Seq and continue the log without a gap.
type Batch struct {
	Records     []Record
	Heads       []Head
	Objects     []Object
	Definitions []Definition
	Snapshots   []Snapshot
	Purges      []Purge
	Rows        []Row
	Said        []Said
	Base        uint64 // if not 0: recovery may start from the snapshots and the records after Base
	Clean       bool   // written last by a clean stop

	// Sweep, if not 0, is the time: of what purges have left behind, what is over by then is removed, at most MaxSwept of it.
	Sweep int64
}

// MaxSwept is how much one batch sweeps at most: tombstones, and records that told of purges.
const MaxSwept = 2_000

// Empty says that the batch writes nothing.
func (b *Batch) Empty() bool {
	return len(b.Records) == 0 && len(b.Heads) == 0 && len(b.Objects) == 0 && len(b.Definitions) == 0 && len(b.Snapshots) == 0 &&
		len(b.Purges) == 0 && len(b.Rows) == 0 && len(b.Said) == 0 && b.Base == 0 && !b.Clean && b.Sweep == 0
}

// maxName is the longest id, key or name.
const maxName = 16 << 10

// Check says what is wrong with a batch that must begin at next.
func (b *Batch) Check(next uint64) error {
	for i := range b.Records {
		r := &b.Records[i]
		switch {
		case r.Seq != next:
			return fmt.Errorf("journal: record %d of the batch begins at %d, the log goes on at %d", i, r.Seq, next)
		case r.Count == 0 || r.Run > r.Seq || r.Prev >= r.Seq:
			return fmt.Errorf("journal: record %d: %d events, run %d, previous record %d", r.Seq, r.Count, r.Run, r.Prev)
		}
		next = r.End()
	}
	for i := range b.Heads {
		h := &b.Heads[i]
		if h.Run == 0 || h.ID == "" || h.LastSeq < h.Run || len(h.ID) > maxName || len(h.Workflow) > maxName {
			return fmt.Errorf("journal: head of run %d: id of %d bytes, workflow of %d, last record %d", h.Run, len(h.ID), len(h.Workflow), h.LastSeq)
		}
		for k, tag := range h.Tags {
			if len(tag) == 0 || len(tag) > maxName || k > 0 && tag <= h.Tags[k-1] {
				return fmt.Errorf("journal: head of run %d: tag %d of %d bytes, or out of order", h.Run, k, len(tag))
			}
		}
	}
	for i := range b.Objects {
		if n := len(b.Objects[i].Key); n == 0 || n > maxName {
			return fmt.Errorf("journal: object key of %d bytes", n)
		}
	}
	for i := range b.Rows {
		if n := len(b.Rows[i].Key); n == 0 || n > maxName {
			return fmt.Errorf("journal: row key of %d bytes", n)
		}
	}
	for i := range b.Definitions {
		d := &b.Definitions[i]
		if len(d.Name) == 0 || len(d.Name) > maxName || len(d.Digest) > maxName || d.Digest == "" && (d.Current || len(d.Body) > 0) {
			return fmt.Errorf("journal: definition with a name of %d bytes and the digest %.80q", len(d.Name), d.Digest)
		}
	}
	for i := range b.Said {
		s := &b.Said[i]
		if s.Run == 0 || s.Step == "" || len(s.Step) > maxName || len(s.Text) > MaxSaid+maxSeal {
			return fmt.Errorf("journal: %d bytes of the log of run %d, step of %d bytes", len(s.Text), s.Run, len(s.Step))
		}
	}
	if b.Base >= next {
		return fmt.Errorf("journal: recovery point %d, the log goes up to %d", b.Base, next-1)
	}
	return nil
}

// Size is about how many bytes the batch will put.
func (b *Batch) Size() (n int) {
	const row = 64
	for i := range b.Records {
		n += row + len(b.Records[i].Body)
	}
	for i := range b.Snapshots {
		n += row + len(b.Snapshots[i].State)
	}
	for i := range b.Objects {
		n += row + len(b.Objects[i].State)
	}
	for i := range b.Definitions {
		n += row + len(b.Definitions[i].Body)
	}
	for i := range b.Rows {
		n += row + len(b.Rows[i].Value)
	}
	for i := range b.Said {
		n += row + len(b.Said[i].Text)
	}
	for i := range b.Heads {
		for _, tag := range b.Heads[i].Tags {
			n += 2*row + 3*len(tag)
		}
	}
	return n + 6*row*len(b.Heads)
}
