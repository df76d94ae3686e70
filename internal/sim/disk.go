package sim

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Disk is a journal in memory: what is committed survives a crash, what is only appended does not. It keeps to the same
// contract as the journal on bbolt; package journaltest says what that is.
type Disk struct {
	records   []journal.Record
	heads     map[uint64]journal.Head
	ids       map[string]uint64
	dead      map[string]int64 // deleted ids: until when
	entries   map[uint64]int64 // records that told of deletions: until when
	Swept     int              // tombstones that were removed because they were over
	defs      []journal.Definition
	bodies    map[string][]byte
	objects   map[string]journal.Object
	snapshots map[uint64]journal.Snapshot
	rows      map[string][]byte
	said      []journal.Said // by run, step, attempt and place
	base      uint64
	next      uint64 // sequence of the next event
	clean     bool

	damaged map[uint64]bool // records that can not be read any more

	queue []*shard.Batch // appended, in order
}

// NewDisk gives the empty log of a shard.
func NewDisk(s journal.Shard) *Disk {
	return &Disk{next: s.First(), heads: map[uint64]journal.Head{}, ids: map[string]uint64{}, dead: map[string]int64{}, entries: map[uint64]int64{}, bodies: map[string][]byte{},
		objects: map[string]journal.Object{}, snapshots: map[uint64]journal.Snapshot{}, rows: map[string][]byte{}, damaged: map[uint64]bool{}, clean: true}
}

// Damage makes the record of that sequence unreadable.
func (d *Disk) Damage(seq uint64) { d.damaged[seq] = true }

// read says what whoever reads the record is told.
func (d *Disk) read(r *journal.Record) error {
	if !d.damaged[r.Seq] {
		return nil
	}
	return &journal.DamageError{Damage: journal.Damage{Seq: r.Seq, Count: r.Count, Run: r.Run, Kind: "record", Detail: "a bit has flipped"}}
}

// Reader reads what a shard wants.
func (d *Disk) Reader() *shard.Reader {
	return &shard.Reader{Journal: d, Archive: archive.New(d)}
}

// Append queues a batch; Commit makes it durable.
func (d *Disk) Append(b *shard.Batch) { d.queue = append(d.queue, b) }

// Commit makes the next n batches durable, as one transaction.
func (d *Disk) Commit(n int) []*shard.Batch {
	done := d.queue[:n:n]
	d.queue = d.queue[n:]
	for _, b := range done {
		d.apply(b.Batch)
	}
	return done
}

// Queued is how many batches wait to be committed.
func (d *Disk) Queued() int { return len(d.queue) }

// Lose throws away what was not committed.
func (d *Disk) Lose() []*shard.Batch {
	lost := d.queue
	d.queue = nil
	return lost
}

func (d *Disk) apply(b *journal.Batch) {
	for _, r := range b.Records {
		r.Body = slices.Clone(r.Body)
		d.records = append(d.records, r)
		d.next = r.Seq + uint64(r.Count)
	}
	for _, h := range b.Heads {
		d.heads[h.Run] = h
		d.ids[h.ID] = h.Run
	}
	for _, o := range b.Objects {
		if o.State == nil {
			delete(d.objects, o.Key)
		} else {
			d.objects[o.Key] = o
		}
	}
	for _, def := range b.Definitions {
		if len(def.Body) > 0 {
			d.bodies[def.Digest] = def.Body
		}
		known := false
		for i := range d.defs {
			switch at := &d.defs[i]; {
			case at.Name != def.Name:
			case def.Digest == "": // deleted
				if at.Version == def.Version {
					at.Digest, at.Current, known = "", false, true
				}
			default:
				known = known || at.Version == def.Version
				at.Current = at.Version == def.Version
			}
		}
		if !known {
			d.defs = append(d.defs, def)
		}
	}
	for _, s := range b.Snapshots {
		if s.State == nil {
			delete(d.snapshots, s.Run)
		} else {
			s.State = slices.Clone(s.State)
			d.snapshots[s.Run] = s
		}
	}
	for _, p := range b.Purges {
		d.records = slices.DeleteFunc(d.records, func(r journal.Record) bool { return r.Run == p.Run })
		delete(d.ids, d.heads[p.Run].ID)
		if p.Until != 0 {
			d.dead[d.heads[p.Run].ID] = p.Until
		}
		if p.Entry != 0 {
			d.entries[p.Entry] = max(d.entries[p.Entry], p.Until)
		}
		delete(d.heads, p.Run)
		delete(d.snapshots, p.Run)
		d.said = slices.DeleteFunc(d.said, func(s journal.Said) bool { return s.Run == p.Run })
	}
	for _, s := range b.Said {
		d.say(s)
	}
	for _, r := range b.Rows {
		if r.Value == nil {
			delete(d.rows, r.Key)
		} else {
			d.rows[r.Key] = slices.Clone(r.Value)
		}
	}
	if b.Base != 0 {
		d.base = b.Base
	}
	d.clean = b.Clean
	d.sweep(b.Sweep)
}

// sweep removes what deletions have left behind and is over.
func (d *Disk) sweep(now int64) {
	before := len(d.dead)
	maps.DeleteFunc(d.dead, func(_ string, until int64) bool { return until < now })
	d.Swept += before - len(d.dead)
	d.records = slices.DeleteFunc(d.records, func(r journal.Record) bool {
		until, is := d.entries[r.Seq]
		return is && until < now
	})
	maps.DeleteFunc(d.entries, func(_ uint64, until int64) bool { return until < now })
}

// NextSeq is the sequence of the next event.
func (d *Disk) NextSeq() uint64 {
	return d.next
}

// Secret is the one of every simulated file.
func (d *Disk) Secret() []byte { return []byte("the simulator's secret, 32 bytes") }

// Snapshot gives the stored state of a run.
func (d *Disk) Snapshot(run uint64) (journal.Snapshot, bool, error) {
	s, ok := d.snapshots[run]
	return s, ok, nil
}

// Recover gives snapshots, then the records after the base.
func (d *Disk) Recover(v journal.Visitor) error {
	v.Clean(d.clean)
	runs := make([]uint64, 0, len(d.snapshots))
	for n := range d.snapshots {
		runs = append(runs, n)
	}
	slices.Sort(runs)
	for _, n := range runs {
		if err := v.Snapshot(d.snapshots[n]); err != nil {
			return err
		}
	}
	var damage *journal.DamageError
	for i := range d.records {
		if r := &d.records[i]; r.Seq > d.base && errors.As(d.read(r), &damage) {
			if err := v.Damaged(damage.Damage); err != nil {
				return err
			}
		}
	}
	for i := range d.records {
		if r := &d.records[i]; r.Seq > d.base && d.read(r) == nil {
			if err := v.Record(*r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lookup finds a run by id.
func (d *Disk) Lookup(id string) (run uint64, tombstone int64, ok bool, err error) {
	if run, ok := d.ids[id]; ok {
		return run, 0, true, nil
	}
	if until, ok := d.dead[id]; ok {
		return 0, until, true, nil
	}
	return 0, 0, false, nil
}

// Head gives a run's head.
func (d *Disk) Head(run uint64) (journal.Head, bool, error) {
	h, ok := d.heads[run]
	return h, ok, nil
}

// Object gives an object's state.
func (d *Disk) Object(key string) (journal.Object, bool, error) {
	o, ok := d.objects[key]
	return o, ok, nil
}

// Definitions gives every version of every workflow.
func (d *Disk) Definitions() ([]journal.Definition, error) { return slices.Clone(d.defs), nil }

// DefinitionBody gives the canonical JSON of a definition.
func (d *Disk) DefinitionBody(digest string) ([]byte, error) {
	if b, ok := d.bodies[digest]; ok {
		return b, nil
	}
	return nil, errors.New("sim: no such definition")
}

// Scan gives records after a sequence.
func (d *Disk) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	i, _ := slices.BinarySearchFunc(d.records, after+1, func(r journal.Record, seq uint64) int {
		return cmp.Compare(r.Seq+uint64(r.Count)-1, seq)
	})
	for n := 0; i < len(d.records) && (limit == 0 || n < limit); i, n = i+1, n+1 {
		if err := d.read(&d.records[i]); err != nil {
			return err
		}
		if err := fn(d.records[i]); err != nil {
			return err
		}
	}
	return nil
}

// RunRecords gives a run's records from a position on.
func (d *Disk) RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	var out []journal.Record
	for _, r := range d.records {
		if r.Run == run && r.Seq <= last {
			if err := d.read(&r); err != nil {
				return out, err
			}
		}
		if r.Run == run && r.N+uint64(r.Count) > fromN && r.Seq <= last && (limit == 0 || len(out) < limit) {
			out = append(out, r)
		}
	}
	return out, nil
}

// Row gives a setting.
func (d *Disk) Row(key string) ([]byte, bool, error) {
	v, ok := d.rows[key]
	return v, ok, nil
}

// Rows gives the settings whose keys begin with prefix, by key.
func (d *Disk) Rows(prefix string) ([]journal.Row, error) {
	var rows []journal.Row
	for k, v := range d.rows {
		if strings.HasPrefix(k, prefix) {
			rows = append(rows, journal.Row{Key: k, Value: v})
		}
	}
	slices.SortFunc(rows, func(a, b journal.Row) int { return cmp.Compare(a.Key, b.Key) })
	return rows, nil
}

// RowsAfter gives up to limit of them that come after a key.
func (d *Disk) RowsAfter(prefix, after string, limit int) ([]journal.Row, error) {
	all, err := d.Rows(prefix)
	all = slices.DeleteFunc(all, func(r journal.Row) bool { return r.Key <= after })
	return all[:min(len(all), limit)], err
}

// Get gives the record that holds an event.
func (d *Disk) Get(seq uint64) (journal.Record, error) {
	for _, r := range d.records {
		if r.Seq <= seq && seq < r.Seq+uint64(r.Count) {
			return r, d.read(&r)
		}
	}
	return journal.Record{}, journal.ErrNotFound
}
