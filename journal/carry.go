package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// Source is a Log of which all is read, to be carried into another one. Nothing is appended to it meanwhile.
type Source interface {
	Log
	// EachLeft gives what purges have left behind, and EachSaid all that attempts wrote to their logs. fn may read the journal.
	EachLeft(fn func(Left) error) error
	EachSaid(fn func(Said) error) error
	// Verify looks at all that the journal is kept in, and tells fn of damage.
	Verify(ctx context.Context, fn func(Damage)) (Verified, error)
}

// Left is what a purge has left behind until a time, in Unix milliseconds.
type Left struct {
	ID    string // of a run that was purged; "": the other is left
	Run   uint64 // that had the id
	Entry uint64 // the record that tells of the purge
	Until int64
}

// Part is a piece of a journal on its way into another one. Its records may leave gaps, where runs were purged.
type Part struct {
	Batch
	Left []Left
	Next uint64 // where the log goes on behind the part; 0: there is nothing of the log in it
	Last bool   // of the part that says Base and Clean
}

// partBytes is how large a part may become before it is given.
const partBytes = 4 << 20

// Carry gives all that is in a journal, part by part: first the log, then what stands beside it, each run's first record before its
// head. Sequences stay as they are. The secret is not carried. Damage ends it. progress, if it is not nil, is told how much is done.
func Carry(ctx context.Context, from Source, progress func(done float64), put func(*Part) error) error {
	c := carrier{ctx: ctx, from: from, put: put, next: from.NextSeq(), progress: progress}
	if progress == nil {
		c.progress = func(float64) {}
	}
	for i, step := range []func() error{c.log, c.heads, c.snapshots, c.said, c.definitions, c.objects, c.rows, c.left} {
		if err := step(); err != nil {
			return err
		}
		if err := c.give(); err != nil {
			return err
		}
		c.progress(.6 + .05*float64(i+1))
	}
	return put(&Part{Batch: Batch{Base: c.base, Clean: c.clean}, Last: true})
}

type carrier struct {
	ctx      context.Context
	from     Source
	put      func(*Part) error
	progress func(done float64)
	next     uint64 // of the log
	base     uint64
	clean    bool
	runs     []uint64
	part     Part
	size     int
}

// some gives the part when it is large; a row of about so many bytes was added.
func (c *carrier) some(bytes int) error {
	if c.size += bytes + 100; c.size < partBytes {
		return nil
	}
	return c.give()
}

// give gives what was collected.
func (c *carrier) give() error {
	p := c.part
	c.part, c.size = Part{}, 0
	if p.Empty() && len(p.Left) == 0 && p.Next == 0 {
		return c.ctx.Err()
	}
	return errors.Join(c.ctx.Err(), c.put(&p))
}

func (c *carrier) log() error {
	first := ShardOf(c.next).First()
	err := c.from.Scan(first-1, 0, func(r Record) error {
		if r.Seq >= c.next {
			return errEnough
		}
		r.Body, r.Left = bytes.Clone(r.Body), 0
		c.part.Records, c.part.Next = append(c.part.Records, r), r.End()
		if r.Run == r.Seq {
			c.runs = append(c.runs, r.Run)
		}
		if err := c.some(len(r.Body)); err != nil {
			return err
		}
		if len(c.part.Records) == 0 {
			c.progress(.6 * float64(r.Seq-first) / float64(max(c.next-first, 1)))
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	c.part.Next = c.next // behind what was purged at the end
	return err
}

var errEnough = errors.New("enough")

func (c *carrier) heads() error {
	for runs := c.runs; len(runs) > 0; {
		n := min(len(runs), MaxAsked)
		for i, h := range Ask(c.from, &Question{Heads: runs[:n]}).Heads {
			switch {
			case h.Err != nil:
				return h.Err
			case !h.OK || h.Row.Damaged:
				return &DamageError{Damage{Run: runs[i], Kind: "head", Detail: "missing, though the run has records"}}
			}
			c.part.Heads = append(c.part.Heads, h.Row)
			if err := c.some(len(h.Row.ID) + len(h.Row.Workflow) + len(h.Row.Failed)); err != nil {
				return err
			}
		}
		runs = runs[n:]
	}
	return nil
}

// snapshots gives the states of open runs, and from where on the log is read at a start.
func (c *carrier) snapshots() error {
	c.base = c.next - 1
	if err := c.from.Recover(&recovered{c}); err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// recovered is the Visitor that carries.
type recovered struct{ c *carrier }

func (r *recovered) Clean(clean bool) { r.c.clean = clean }

func (r *recovered) Snapshot(s Snapshot) error {
	s.State = bytes.Clone(s.State)
	r.c.part.Snapshots = append(r.c.part.Snapshots, s)
	return r.c.some(len(s.State))
}

func (r *recovered) Record(x Record) error {
	r.c.base = x.Seq - 1 // what lies between the recovery point and this was purged
	return errEnough
}

func (r *recovered) Damaged(d Damage) error { return &DamageError{d} }

func (c *carrier) said() error {
	return c.from.EachSaid(func(s Said) error {
		c.part.Said = append(c.part.Said, s)
		return c.some(len(s.Text))
	})
}

func (c *carrier) definitions() error {
	list, err := c.from.Definitions()
	given := map[string]bool{}
	for _, d := range list {
		if err == nil && d.Digest != "" && !given[d.Digest] {
			given[d.Digest] = true
			d.Body, err = c.from.DefinitionBody(d.Digest)
		}
		if err != nil {
			return err
		}
		c.part.Definitions = append(c.part.Definitions, d)
		if err := c.some(len(d.Body)); err != nil {
			return err
		}
	}
	return err
}

// pageRows is how many objects and settings are read at once.
const pageRows = 200

func (c *carrier) objects() error {
	for after := ""; ; {
		list, err := c.from.Objects("", after, pageRows)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, o := range list {
			c.part.Objects = append(c.part.Objects, o)
			if err := c.some(len(o.State)); err != nil {
				return err
			}
		}
		after = list[len(list)-1].Key
	}
}

func (c *carrier) rows() error {
	for after := ""; ; {
		list, err := c.from.RowsAfter("", after, pageRows)
		if err != nil || len(list) == 0 {
			return err
		}
		for _, r := range list {
			c.part.Rows = append(c.part.Rows, r)
			if err := c.some(len(r.Value)); err != nil {
				return err
			}
		}
		after = list[len(list)-1].Key
	}
}

func (c *carrier) left() error {
	return c.from.EachLeft(func(l Left) error {
		c.part.Left = append(c.part.Left, l)
		return c.some(len(l.ID))
	})
}

// Tally is a checksum over all that is in a journal, whatever it is kept on. The zero value is that of an empty one.
type Tally struct {
	Records, Runs uint64
	next          uint64
	base          uint64
	clean         bool
	sum           [sha256.Size]byte
	row           []byte
}

// Add adds a part. The order in which rows come makes no difference.
func (t *Tally) Add(p *Part) {
	t.Records += uint64(len(p.Records))
	t.Runs += uint64(len(p.Heads))
	for _, r := range p.Records {
		t.add("record", string(r.Body), r.Seq, uint64(r.Count), r.Run, r.Prev, r.N, uint64(r.At))
	}
	for _, h := range p.Heads {
		t.add("head", fmt.Sprintf("%+v", h), h.Run) // with what a later release adds
	}
	for _, s := range p.Snapshots {
		t.add("snapshot", string(s.State), s.Run, s.Seq)
	}
	for _, s := range p.Said {
		t.add("said", fmt.Sprintf("%q %s", s.Step, s.Text), s.Run, uint64(s.Attempt), s.At)
	}
	for _, d := range p.Definitions {
		current := uint64(0)
		if d.Current {
			current = 1
		}
		t.add("definition", fmt.Sprintf("%q %q %s", d.Name, d.Digest, d.Body), uint64(d.Version), uint64(d.At), current)
	}
	for _, o := range p.Objects {
		t.add("object", fmt.Sprintf("%q %s", o.Key, o.State), o.Version, o.Fence, o.Seq)
	}
	for _, r := range p.Rows {
		t.add("row", fmt.Sprintf("%q %s", r.Key, r.Value))
	}
	for _, l := range p.Left {
		t.add("left", l.ID, l.Run, l.Entry, uint64(l.Until))
	}
	t.next = max(t.next, p.Next)
	if p.Last {
		t.base, t.clean = p.Base, p.Clean
	}
}

func (t *Tally) add(kind, text string, numbers ...uint64) {
	t.row = append(append(t.row[:0], kind...), 0)
	for _, n := range numbers {
		t.row = binary.BigEndian.AppendUint64(t.row, n)
	}
	t.row = append(t.row, text...)
	for i, b := range sha256.Sum256(t.row) {
		t.sum[i] ^= b // each row is there once
	}
}

// Check reads a journal that was made of parts, and says whether it has what the parts had, and is whole.
func (t *Tally) Check(ctx context.Context, made Source, progress func(done float64)) error {
	var got Tally
	err := Carry(ctx, made, progress, func(p *Part) error {
		got.Add(p)
		return nil
	})
	if err != nil {
		return err
	}
	if t.sum != got.sum || t.next != got.next || t.base != got.base || t.clean != got.clean {
		return fmt.Errorf("journal: the copy has %d records and %d runs up to event %d, and is not what was copied: %d records and %d runs up to event %d",
			got.Records, got.Runs, got.next-1, t.Records, t.Runs, t.next-1)
	}
	var first error
	_, err = made.Verify(ctx, func(d Damage) {
		if first == nil {
			first = &DamageError{d}
		}
	})
	return errors.Join(err, first)
}
