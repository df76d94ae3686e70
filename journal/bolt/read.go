package bolt

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// pageRecords and pageBytes bound what is read in one transaction. What is read is copied and given out after it: callers
// may take their time, and may read the journal themselves.
const (
	pageRecords = 4096
	pageBytes   = 1 << 20
)

// Near says that a row is read in microseconds: what is read often lies in the page cache.
func (j *Journal) Near() bool { return true }

// page is records that were copied out of a transaction.
type page struct {
	records []journal.Record
	arena   []byte
}

func (p *page) reset() { p.records, p.arena = p.records[:0], p.arena[:0] }

func (p *page) full() bool { return len(p.records) >= pageRecords || len(p.arena) >= pageBytes }

func (p *page) add(r journal.Record) {
	at := len(p.arena)
	p.arena = append(p.arena, r.Body...)
	r.Body = p.arena[at:len(p.arena):len(p.arena)]
	p.records = append(p.records, r)
}

// record reads what stands in the log at a cursor.
func record(k, v []byte) (journal.Record, error) {
	if len(k) != 8 {
		return journal.Record{}, &journal.DamageError{Damage: journal.Damage{Kind: "record", Detail: fmt.Sprintf("a key of %d bytes in the log", len(k))}}
	}
	seq := binary.BigEndian.Uint64(k)
	p, err := logBucket.unseal(k, v)
	if err != nil {
		return journal.Record{Seq: seq}, logBucket.damage(k, err.Error())
	}
	r, err := decodeRecord(seq, p)
	if err != nil {
		return r, logBucket.damage(k, err.Error())
	}
	return r, nil
}

// find gives the record that contains an event. Its body is bbolt's memory.
func find(tx *bbolt.Tx, seq uint64) (r journal.Record, err error) {
	c := tx.Bucket(logBucket.name).Cursor()
	k, v := c.Seek(seqKey(seq))
	next := k
	if len(k) != 8 || binary.BigEndian.Uint64(k) != seq {
		if k == nil {
			k, v = c.Last()
		} else {
			k, v = c.Prev()
		}
	}
	if len(k) == 8 && binary.BigEndian.Uint64(k) <= seq {
		r, damage := record(k, v)
		if damage == nil && r.End() > seq {
			return r, nil
		}
		err = damage
	}
	if err == nil {
		err = missing(tx, seq, next)
	}
	if err == journal.ErrNotFound {
		return journal.Record{}, err
	}
	if r, ok := nearby(tx, seq); ok { // a damaged key stood in the way
		return r, nil
	}
	return journal.Record{}, err
}

// nearby looks for a record among those around its place, one by one.
func nearby(tx *bbolt.Tx, seq uint64) (journal.Record, bool) {
	var found journal.Record
	around(tx.Bucket(logBucket.name).Cursor(), seqKey(seq), func(k, v []byte) bool {
		if at := seqOf(k); at > seq {
			return false
		}
		r, err := record(k, v)
		if err == nil && r.End() > seq {
			found = r
		}
		return found.Seq != 0
	})
	return found, found.Seq != 0
}

// missing says why no record contains seq: it was purged, it is not there yet, or it is lost.
func missing(tx *bbolt.Tx, seq uint64, next []byte) error {
	hole, err := holeAt(tx, seq)
	if err != nil {
		return err
	}
	t, err := tailOf(tx)
	if err != nil {
		return err
	}
	if seq < t.first() || seq >= t.next || hole > seq {
		return journal.ErrNotFound
	}
	d := journal.Damage{Seq: seq, Kind: "record", Detail: "missing"}
	if len(next) == 8 {
		if n := binary.BigEndian.Uint64(next); n > seq && n-seq < 1<<32 {
			d.Count = uint32(n - seq)
		}
	}
	return &journal.DamageError{Damage: d}
}

func tailOf(tx *bbolt.Tx) (tail, error) {
	p, err := metaBucket.get(tx, tailKey)
	if err != nil {
		return tail{}, err
	}
	t, err := decodeTail(p)
	if err != nil {
		return t, &journal.DamageError{Damage: journal.Damage{Kind: "tail", Detail: err.Error()}}
	}
	return t, nil
}

// Get gives the record that contains the event seq: ErrNotFound when none has it yet or it was purged, a *DamageError when it
// is damaged or lost.
func (j *Journal) Get(seq uint64) (journal.Record, error) {
	var r journal.Record
	err := j.view(func(tx *bbolt.Tx) error {
		var err error
		if r, err = find(tx, seq); err == nil {
			r.Body = slices.Clone(r.Body)
		}
		return err
	})
	if err != nil {
		return journal.Record{}, err
	}
	return r, nil
}

// GetMany gives the records that contain the events seqs, in that order; fn's record is valid only during the call. It ends
// with the first that cannot be read, or the first error of fn.
func (j *Journal) GetMany(seqs []uint64, fn func(i int, r journal.Record) error) error {
	var p page
	for done := 0; done < len(seqs); {
		p.reset()
		err := j.view(func(tx *bbolt.Tx) error {
			for i := done; i < len(seqs) && !p.full(); i++ {
				r, err := find(tx, seqs[i])
				if err != nil {
					return err
				}
				p.add(r)
			}
			return nil
		})
		for _, r := range p.records {
			if err := fn(done, r); err != nil {
				return err
			}
			done++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Scan gives the records with an event after the sequence after, in the order of the log, up to limit of them (0: all); fn's
// record is valid only during the call. It ends with a *DamageError where one cannot be read: who wants what is behind it
// goes on after its last sequence (Seq + Count - 1).
func (j *Journal) Scan(after uint64, limit int, fn func(journal.Record) error) error {
	var p page
	for given := 0; limit == 0 || given < limit; {
		p.reset()
		err := j.view(func(tx *bbolt.Tx) error {
			l, err := logAfter(tx, after)
			if err != nil {
				return err
			}
			for !p.full() && (limit == 0 || given+len(p.records) < limit) {
				r, err := l.next()
				if err != nil || r.Seq == 0 {
					return err
				}
				p.add(r)
			}
			return nil
		})
		for _, r := range p.records {
			if err := fn(r); err != nil {
				return err
			}
			after = r.End() - 1
		}
		given += len(p.records)
		if err != nil || len(p.records) == 0 {
			return err
		}
	}
	return nil
}

// logReader reads the log forward, and sees what is missing in it.
type logReader struct {
	tx            *bbolt.Tx
	c             *bbolt.Cursor
	k, v          []byte
	ahead, aheadV []byte // the row after k
	want          uint64 // the sequence that comes next
	tail          tail
}

// logAfter stands before the record that contains the event after+1.
func logAfter(tx *bbolt.Tx, after uint64) (*logReader, error) {
	t, err := tailOf(tx)
	if err != nil {
		return nil, err
	}
	l := &logReader{tx: tx, c: tx.Bucket(logBucket.name).Cursor(), want: max(after+1, t.first()), tail: t}
	k, v := l.c.Seek(seqKey(l.want))
	if l.want == t.first() || k != nil && seqOf(k) == l.want {
		return l.stand(k, v), nil
	}
	if k == nil {
		k, v = l.c.Last()
	} else {
		k, v = l.c.Prev()
	}
	if k != nil && seqOf(k) < l.want { // it may reach over it
		if r, err := record(k, v); err == nil && r.End() > l.want {
			l.want = r.Seq
			return l.stand(k, v), nil
		}
	}
	return l.stand(l.c.Seek(seqKey(l.want))), nil
}

// next gives the next record; one with Seq 0 at the end. After a *DamageError it stands behind the damage.
func (l *logReader) next() (journal.Record, error) {
	if l.want >= l.tail.next {
		return journal.Record{}, nil // a row behind the end has a damaged key: its record is missing elsewhere
	}
	if l.k == nil {
		return l.gap(l.tail.next)
	}
	at, k, v := seqOf(l.k), l.k, l.v
	following := l.tail.next
	if l.ahead != nil {
		following = seqOf(l.ahead)
	}
	if at > l.want && at < min(following, l.tail.next) {
		return l.gap(at)
	}
	l.advance()
	if at != l.want { // the key is not what was written
		if following == l.want {
			return l.next() // that was said when its place was read
		}
		return journal.Record{}, l.damage(l.want, following, fmt.Sprintf("a key that is out of order: %x", k))
	}
	r, err := record(k, v)
	if err != nil {
		return journal.Record{}, l.damage(at, following, err.(*journal.DamageError).Detail)
	}
	l.want = r.End()
	return r, nil
}

// advance goes on by one row; the row ahead is known, too.
func (l *logReader) advance() {
	l.k, l.v = l.ahead, l.aheadV
	if l.k != nil {
		l.ahead, l.aheadV = l.c.Next()
	}
}

// stand puts the reader before the row k, where the cursor is.
func (l *logReader) stand(k, v []byte) *logReader {
	if l.k, l.v = k, v; k != nil {
		l.ahead, l.aheadV = l.c.Next()
	}
	return l
}

// damage describes what stands at the sequence at, and goes on behind it.
func (l *logReader) damage(at, following uint64, detail string) error {
	if following <= at || following > l.tail.next {
		following = at + 1
	}
	if hole, err := holeAfter(l.tx, at); err == nil && hole != 0 {
		following = min(following, hole)
	}
	l.want = following
	return &journal.DamageError{Damage: journal.Damage{Seq: at, Count: uint32(following - at), Kind: "record", Detail: detail}}
}

func seqOf(k []byte) uint64 {
	if len(k) != 8 {
		return 1<<64 - 1
	}
	return binary.BigEndian.Uint64(k)
}

// gap passes over what was purged, and reports what is missing without a reason.
func (l *logReader) gap(to uint64) (journal.Record, error) {
	for l.want < to {
		end, err := holeAt(l.tx, l.want)
		if err != nil { // whether something was purged here, or is missing, is not known
			d := journal.Damage{Seq: l.want, Count: uint32(to - l.want), Kind: "hole", Detail: err.(*journal.DamageError).Detail}
			l.want = to
			return journal.Record{}, &journal.DamageError{Damage: d}
		}
		if end > l.want {
			l.want = end
			continue
		}
		next, err := holeAfter(l.tx, l.want)
		if err != nil || next == 0 || next > to {
			next = to
		}
		d := journal.Damage{Seq: l.want, Count: uint32(next - l.want), Kind: "record", Detail: "missing"}
		l.want = next
		return journal.Record{}, &journal.DamageError{Damage: d}
	}
	return l.next()
}

// RunRecords gives up to limit records of a run (0: all), in order, beginning with the one that contains the run's event
// fromN. last is the run's last record that the caller knows of: nothing behind it is given. They are the caller's to keep.
func (j *Journal) RunRecords(run, last, fromN uint64, limit int) ([]journal.Record, error) {
	var all []journal.Record
	for fromN = max(fromN, 1); ; {
		var some []journal.Record
		err := j.view(func(tx *bbolt.Tx) error {
			var err error
			some, err = segment(tx, run, last, fromN)
			return err
		})
		if err != nil {
			return nil, err
		}
		if limit > 0 && len(all)+len(some) >= limit {
			return append(all, some[:limit-len(all)]...), nil
		}
		all = append(all, some...)
		if len(some) == 0 || some[len(some)-1].Seq == last {
			return all, nil
		}
		fromN = some[len(some)-1].Last() + 1
	}
}

// segment reads from the first waypoint at or behind fromN, or from last, back to the record that contains fromN.
func segment(tx *bbolt.Tx, run, last, fromN uint64) ([]journal.Record, error) {
	seq, err := waypointFrom(tx, run, fromN)
	if err != nil {
		return nil, err
	}
	if seq == 0 || seq > last {
		seq = last
	}
	var back []journal.Record
	next := journal.Record{}
	for {
		r, err := find(tx, seq)
		if err == nil {
			err = linked(&r, &next, run, seq)
		}
		if err != nil {
			return nil, attribute(err, run, seq)
		}
		if r.Last() < fromN {
			break // all of the run up to last is before fromN
		}
		next = r
		r.Body = slices.Clone(r.Body)
		back = append(back, r)
		if r.N <= fromN || r.Prev == 0 {
			break
		}
		seq = r.Prev
	}
	slices.Reverse(back)
	return back, nil
}

// linked checks that r is the run's record at seq, just before next.
func linked(r, next *journal.Record, run, seq uint64) error {
	bad := ""
	switch {
	case r.Seq != seq:
		bad = fmt.Sprintf("no record begins there, one at %d reaches over it", r.Seq)
	case r.Run != run:
		bad = fmt.Sprintf("run %d is linked to it, but it is of run %d", run, r.Run)
	case next.Seq != 0 && r.Last()+1 != next.N:
		bad = fmt.Sprintf("it ends at position %d of the run, the next record, %d, begins at %d", r.Last(), next.Seq, next.N)
	case r.Prev == 0 && (r.N != 1 || r.Seq != run):
		bad = fmt.Sprintf("it is linked to none, but begins at position %d", r.N)
	}
	if bad == "" {
		return nil
	}
	return &journal.DamageError{Damage: journal.Damage{Seq: seq, Run: run, Kind: "link", Detail: bad}}
}

// attribute says whose record was to be found at seq, for a link led there.
func attribute(err error, run, seq uint64) error {
	switch e := err.(type) {
	case *journal.DamageError:
		if e.Seq <= seq && e.Kind == "record" {
			e.Seq, e.Run = seq, run
		}
	default:
		if err == journal.ErrNotFound {
			return &journal.DamageError{Damage: journal.Damage{Seq: seq, Run: run, Kind: "record", Detail: "missing, though a link leads there"}}
		}
	}
	return err
}
