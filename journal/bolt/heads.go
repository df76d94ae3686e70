package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Head gives a run's head. A run whose first record is there and whose head is not is damage.
func (j *Journal) Head(run uint64) (h journal.Head, ok bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		h, ok, err = j.headOrStandIn(tx, run)
		return err
	})
	return h, ok, err
}

func headOf(tx *bbolt.Tx, run uint64) (journal.Head, bool, error) {
	key := seqKey(run)
	p, err := headBucket.get(tx, key)
	if err != nil {
		return journal.Head{}, false, err
	}
	if p == nil {
		if r, err := find(tx, run); err == nil && r.Seq == run && r.Run == run {
			return journal.Head{}, false, headBucket.damage(key, "missing")
		}
		return journal.Head{}, false, nil
	}
	h, err := decodeHead(key, p)
	if err != nil {
		return journal.Head{}, false, headBucket.damage(key, err.Error())
	}
	return h, true, nil
}

// Lookup gives the run with an id. tombstoneUntil is not 0 when the run was purged: until then (Unix milliseconds) the id
// is kept from being used again.
func (j *Journal) Lookup(id string) (run uint64, tombstoneUntil int64, ok bool, err error) {
	err = j.view(func(tx *bbolt.Tx) error {
		p, err := idBucket.get(tx, []byte(id))
		if err != nil || p == nil {
			return err
		}
		ok = true
		if run, tombstoneUntil, err = decodeID(p); err != nil {
			return idBucket.damage([]byte(id), err.Error())
		}
		return nil
	})
	if damage := (*journal.DamageError)(nil); errors.As(err, &damage) && damage.Kind == idBucket.kind && j.naming.Load() != nil {
		return j.mendedID(id)
	}
	return run, tombstoneUntil, ok && err == nil, err
}

// countPage bounds how many keys are counted in one transaction.
var countPage = 20_000

// States gives how many runs are in each state. It counts keys and reads no values; runs that are added or change their state
// meanwhile may count as before or as after.
func (j *Journal) States() (map[uint8]int, error) {
	counts, listed, total := map[uint8]int{}, 0, 0
	next := j.NextSeq() // what is added from now on is not counted
	err := j.keys(stateBucket, func(k []byte) {
		if len(k) == 9 && seqOf(k[1:]) < next {
			counts[k[0]]++
			listed++
		}
	})
	if err == nil {
		err = j.keys(headBucket, func(k []byte) {
			if len(k) == 8 && seqOf(k) < next {
				total++
			}
		})
	}
	counts[journal.CompletedState] += max(total-listed, 0) // the index by state does not list them
	return counts, err
}

// keys gives every key of a bucket, a part of them in each transaction. A key may be used during the call.
func (j *Journal) keys(b *bucket, fn func(k []byte)) error {
	var at []byte
	for more := true; more; {
		err := j.view(func(tx *bbolt.Tx) error {
			in := tx.Bucket(b.name)
			c := in.Cursor()
			k, v := c.Seek(at)
			for n := 0; k != nil; n++ {
				if n >= countPage && b.leads(in, at, k, v) {
					at = bytes.Clone(k)
					return nil
				}
				fn(k)
				k, v = c.Next()
			}
			more = false
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// headsPage bounds how many rows are looked at in one transaction.
const headsPage = 2000

// Heads lists runs. Where an index leads to them the rows of the index are looked at, else all heads.
func (j *Journal) Heads(f journal.HeadFilter) (journal.HeadPage, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	if f.Look <= 0 {
		f.Look = math.MaxInt
	}
	l := lister{j: j, f: f, limit: f.Limit + 1, place: f.After} // one more tells whether there is a next page
	if f.IDPrefix != "" {
		runs, few, err := j.byPrefix(f.IDPrefix, min(f.Look, prefixMost))
		if err != nil {
			return journal.HeadPage{}, err
		}
		if few {
			return l.sorted(j, runs)
		}
	}
	for more := true; more; {
		err := j.view(func(tx *bbolt.Tx) error {
			var err error
			more, err = l.some(tx)
			return err
		})
		if err == errUnindexed {
			return l.sorted(j, nil)
		}
		if err != nil {
			return journal.HeadPage{}, err
		}
	}
	return l.page(), nil
}

// lister makes a page of a list.
type lister struct {
	j      *Journal
	f      journal.HeadFilter
	limit  int
	found  []journal.Head
	place  journal.HeadMark // the last row looked at
	looked int
	cut    bool   // it has looked at f.Look rows
	tag    string // whose rows are looked at; "": not picked yet
}

// page is what was found. When nothing more was found, but not everything was looked at, it goes on where that ended.
func (l *lister) page() journal.HeadPage {
	switch {
	case len(l.found) == l.limit:
		p := journal.HeadPage{Heads: l.found[:l.limit-1]}
		p.Next = l.f.Mark(&p.Heads[len(p.Heads)-1])
		return p
	case l.cut:
		return journal.HeadPage{Heads: l.found, Next: l.place}
	}
	return journal.HeadPage{Heads: l.found}
}

// errUnindexed: an older release has written the file, and it cannot be asked for an order by end.
var errUnindexed = errors.New("no index by end")

// source is where the runs of a list are found: the rows of a bucket under some prefixes, each ending in a mark.
type source struct {
	b        *bucket
	prefixes [][]byte
	ended    bool               // marks have the time of the end
	late     []journal.HeadMark // of runs of the list that have no rows in the index yet, in the list's order
	below    journal.HeadMark   // rows before this one in the list are not picked; zero: all may be
	floor    int64              // rows whose time is under it end the list
}

// source picks the index that has the fewest rows to look at.
func (l *lister) source(tx *bbolt.Tx) (source, error) {
	f := &l.f
	t, indexed := timesOf(tx)
	if f.ByEnd && !indexed {
		return source{}, errUnindexed
	}
	s := source{b: headBucket, prefixes: [][]byte{{}}, ended: f.ByEnd}
	if len(f.Tags) > 0 && tx.Bucket(tagBucket.name) != nil {
		if l.tag == "" {
			l.tag = rarest(tx, f.Tags)
		}
		s.b, s.prefixes = tagBucket, [][]byte{tagPrefix(f.ByEnd, l.tag)}
	}
	few := len(f.States) > 0 && !slices.Contains(f.States, journal.CompletedState)
	switch {
	case s.b == tagBucket:
	case f.ByEnd && few:
		s.b, s.prefixes = endBucket, statePrefixes([]byte{endOfState}, f.States)
	case f.ByEnd && f.Workflow != "":
		s.b, s.prefixes = endBucket, [][]byte{appendBytes([]byte{endOfFlow}, f.Workflow)}
	case f.ByEnd:
		s.b, s.prefixes = endBucket, [][]byte{{endOfAll}}
	case few:
		s.b, s.prefixes = stateBucket, statePrefixes(nil, f.States)
	case f.Workflow != "":
		s.b, s.prefixes = flowBucket, [][]byte{appendBytes(nil, f.Workflow)}
	}
	if f.ByEnd {
		if s.b == endBucket {
			if err := l.late(tx, &s, &t); err != nil {
				return s, err
			}
		}
		s.floor = f.EndedSince
		if f.EndedUntil != 0 {
			s.below = journal.HeadMark{Ended: f.EndedUntil}
		}
		return s, nil
	}
	if f.Since != 0 && indexed {
		s.floor = f.Since - t.slack
	}
	if f.Until != 0 && indexed {
		run, err := firstAfter(tx, f.Until+t.slack)
		s.below = journal.HeadMark{Run: run}
		return s, err
	}
	return s, nil
}

// late adds the runs that have ended and have no rows in the index by end yet.
func (l *lister) late(tx *bbolt.Tx, s *source, t *times) error {
	heads, err := t.lateHeads(l.j, tx)
	for i := range heads {
		if l.f.Match(&heads[i]) {
			s.late = append(s.late, l.f.Mark(&heads[i]))
		}
	}
	slices.SortFunc(s.late, inList)
	return err
}

// head gives the head to which a row leads: it is the row itself where no index was picked. An index says nothing that its key does not
// say, and the head is asked whether that is so: damage to its rows, of which Verify tells, does no harm here.
func (l *lister) head(tx *bbolt.Tx, s *source, m journal.HeadMark, k, v []byte) (journal.Head, bool, error) {
	if s.b != headBucket {
		h, ok, err := l.j.headOrStandIn(tx, m.Run)
		if h.Damaged && s.ended {
			h.EndedAt = m.Ended
		}
		return h, ok, err
	}
	p, err := headBucket.unseal(k, v)
	if err == nil {
		var h journal.Head
		if h, err = decodeHead(k, p); err == nil {
			return h, true, nil
		}
	}
	return l.j.standIn(tx, m.Run, headBucket.damage(k, err.Error()))
}

func statePrefixes(before []byte, states []uint8) [][]byte {
	var out [][]byte
	for _, state := range slices.Compact(slices.Sorted(slices.Values(states))) {
		out = append(out, append(bytes.Clone(before), state))
	}
	return out
}

// firstAfter gives a run number from which on every run was started at or after a time, the clock never having gone back.
func firstAfter(tx *bbolt.Tx, at int64) (uint64, error) {
	end, err := tailOf(tx)
	if err != nil {
		return 0, err
	}
	c := tx.Bucket(headBucket.name).Cursor()
	low, high := uint64(1), end.next
	for low < high {
		mid := low + (high-low)/2
		k, _ := headBucket.seek(c, seqKey(mid))
		run := seqOf(k)
		if k == nil || run >= high {
			high = mid
			continue
		}
		h, ok, err := headOf(tx, run)
		switch {
		case err != nil: // damaged: nothing is known of it, and nothing may be left out
			low = run + 1
		case ok && h.CreatedAt >= at:
			high = mid
		default:
			low = run + 1
		}
	}
	return max(high, 1), nil
}

// some looks at some rows, in one transaction.
func (l *lister) some(tx *bbolt.Tx) (more bool, err error) {
	s, err := l.source(tx)
	if err != nil {
		return false, err
	}
	from := l.place
	if s.below != (journal.HeadMark{}) && (from == (journal.HeadMark{}) || from.Before(s.below)) {
		from = s.below
	}
	rows := newRows(tx, &s, from)
	for range headsPage {
		m, k, v, ok := rows.next()
		if !ok {
			return false, nil
		}
		if s.ended && m.Ended < s.floor {
			return false, nil
		}
		h, ok, err := l.head(tx, &s, m, k, v)
		var damage *journal.DamageError
		if errors.As(err, &damage) && s.b != headBucket && k != nil && !s.b.whole(k, v) { // its key may be what is damaged, and says nothing then
			continue
		}
		if err != nil {
			return false, err
		}
		if !s.ended && ok && h.CreatedAt < s.floor {
			return false, nil
		}
		if s.b == stateBucket && !h.Damaged && h.State != k[0] { // a damaged key that leads to another run
			continue
		}
		if ok && (!s.ended || h.EndedAt == m.Ended) && l.f.Match(&h) {
			l.found = append(l.found, h)
		}
		l.place = m
		l.looked++
		if len(l.found) == l.limit {
			return false, nil
		}
		if l.looked == l.f.Look {
			l.cut = true
			return false, nil
		}
	}
	return true, nil
}

// rows reads several parts of a bucket at once, in the order of a list.
type rows struct {
	s     *source
	parts []part
	late  []journal.HeadMark // those of the source that were not given
}

type part struct {
	prefix []byte
	c      *bbolt.Cursor
	k, v   []byte

	ahead, aheadV []byte // the row after it, where that was looked at
}

// newRows stands behind a mark; a zero one: before the first row.
func newRows(tx *bbolt.Tx, s *source, from journal.HeadMark) *rows {
	r := &rows{s: s}
	if from == (journal.HeadMark{}) {
		from = journal.HeadMark{Ended: math.MaxInt64, Run: math.MaxUint64}
	}
	for _, prefix := range s.prefixes {
		p := part{prefix: prefix, c: tx.Bucket(s.b.name).Cursor()}
		at := bytes.Clone(prefix)
		if s.ended {
			at = endKey(at, from)
		} else {
			at = binary.BigEndian.AppendUint64(at, from.Run)
		}
		if k, _ := s.b.seek(p.c, at); k == nil {
			p.k, p.v = last(p.c)
		} else {
			p.k, p.v = p.c.Prev()
		}
		p.settle(s.b, at)
		r.parts = append(r.parts, p)
	}
	for _, m := range s.late {
		if from.Before(m) {
			r.late = append(r.late, m)
		}
	}
	return r
}

func (r *rows) next() (m journal.HeadMark, k, v []byte, ok bool) {
	best := -1
	for i := range r.parts {
		if at, is := r.parts[i].mark(r.s.ended); is && (best < 0 || at.Before(m)) {
			best, m = i, at
		}
	}
	if len(r.late) > 0 && (best < 0 || r.late[0].Before(m)) {
		m, r.late = r.late[0], r.late[1:]
		return m, nil, nil, true
	}
	if best < 0 {
		return m, nil, nil, false
	}
	p := &r.parts[best]
	k, v = p.k, p.v
	if p.k, p.v, p.ahead = p.ahead, p.aheadV, nil; p.k == nil {
		p.k, p.v = p.c.Prev()
	}
	p.settle(r.s.b, k)
	return m, k, v, true
}

// settle passes over rows with damaged keys, which do not stand where they belong: the next row is whole, or stands between the one before
// it, which has the key after, and the next whole one.
func (p *part) settle(b *bucket, after []byte) {
	for p.k != nil && !b.whole(p.k, p.v) {
		if p.ahead == nil {
			p.ahead, p.aheadV = p.c.Prev()
		}
		if bytes.Compare(p.k, after) < 0 && bytes.HasPrefix(p.k, p.prefix) && (p.ahead == nil || b.whole(p.ahead, p.aheadV) && bytes.Compare(p.ahead, p.k) < 0) {
			return
		}
		p.k, p.v, p.ahead = p.ahead, p.aheadV, nil
	}
}

// mark is where the row of a part stands in the list; is: there is one.
func (p *part) mark(ended bool) (m journal.HeadMark, is bool) {
	n := len(p.prefix)
	switch {
	case !bytes.HasPrefix(p.k, p.prefix):
		return m, false
	case ended && len(p.k) == n+16:
		return journal.HeadMark{Ended: int64(binary.BigEndian.Uint64(p.k[n:])), Run: binary.BigEndian.Uint64(p.k[n+8:])}, true
	case !ended && len(p.k) == n+8:
		return journal.HeadMark{Run: binary.BigEndian.Uint64(p.k[n:])}, true
	}
	return m, false
}

// prefixMost is how many ids with a prefix are put into the order of the list; of more than that, the runs of the list are
// asked for their ids.
const prefixMost = 10_000

// byPrefix gives the runs whose ids begin with a prefix. few: they are all.
func (j *Journal) byPrefix(prefix string, most int) (runs []uint64, few bool, err error) {
	runs = []uint64{}
	at, damaged := []byte(prefix), false
	for more := true; more && len(runs) <= most && !damaged; {
		err := j.view(func(tx *bbolt.Tx) error {
			c := tx.Bucket(idBucket.name).Cursor()
			k, v := c.Seek(at)
			if k == nil || idBucket.whole(k, v) { // else it is found damaged at once
				k, v = idBucket.seek(c, at)
			}
			for n := 0; k != nil; n++ {
				p, err := idBucket.unseal(k, v)
				if err == nil && !bytes.HasPrefix(k, []byte(prefix)) {
					break
				}
				if err == nil && n >= headsPage {
					at = bytes.Clone(k)
					return nil
				}
				var run uint64
				var until int64
				if err == nil {
					run, until, err = decodeID(p)
				}
				if err != nil { // the runs themselves are asked for their ids
					damaged = true
					return nil
				}
				if until == 0 {
					runs = append(runs, run)
				}
				k, v = c.Next()
			}
			more = false
			return nil
		})
		if err != nil {
			return nil, false, err
		}
	}
	return runs, len(runs) <= most && !damaged, nil
}

// sorted makes a page of some runs, or (nil) of all of a file that has no index, by reading and sorting them.
func (l *lister) sorted(j *Journal, runs []uint64) (journal.HeadPage, error) {
	var marks []journal.HeadMark
	pick := func(h *journal.Head) {
		if m := l.f.Mark(h); l.f.Match(h) && (l.f.After == (journal.HeadMark{}) || l.f.After.Before(m)) {
			marks = append(marks, m)
		}
	}
	err := j.readHeads(runs, pick)
	if err != nil {
		return journal.HeadPage{}, err
	}
	slices.SortFunc(marks, inList)
	runs = runs[:0]
	for _, m := range marks[:min(len(marks), l.limit)] {
		runs = append(runs, m.Run)
	}
	if len(runs) == 0 {
		return journal.HeadPage{}, nil
	}
	err = j.readHeads(runs, func(h *journal.Head) { l.found = append(l.found, *h) })
	return l.page(), err
}

// inList compares two marks by their places in a list.
func inList(a, b journal.HeadMark) int {
	if a.Before(b) {
		return -1
	}
	return 1
}

// readHeads gives the heads of some runs, or (nil) of all, a part of them in each transaction.
func (j *Journal) readHeads(runs []uint64, fn func(h *journal.Head)) error {
	if runs == nil {
		at := uint64(0)
		for more := true; more; {
			err := j.view(func(tx *bbolt.Tx) error {
				c := tx.Bucket(headBucket.name).Cursor()
				k, _ := c.Seek(seqKey(at))
				for n := 0; k != nil && n < headsPage; n++ {
					h, ok, err := j.headOrStandIn(tx, seqOf(k))
					if err != nil {
						return err
					}
					if ok {
						fn(&h)
					}
					at = seqOf(k) + 1
					k, _ = c.Next()
				}
				more = k != nil
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	for len(runs) > 0 {
		some := runs[:min(len(runs), headsPage)]
		runs = runs[len(some):]
		err := j.view(func(tx *bbolt.Tx) error {
			for _, run := range some {
				h, ok, err := j.headOrStandIn(tx, run)
				if err != nil {
					return err
				}
				if ok {
					fn(&h)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var errStop = errors.New("stop")

// walk gives every row of a bucket in the order in which they stand, also those that are not whole.
func (b *bucket) walk(tx *bbolt.Tx, fn func(key, payload []byte, err error)) {
	c := tx.Bucket(b.name).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		p, err := b.unseal(k, v)
		fn(k, p, err)
	}
}

// each gives the rows of a bucket whose keys begin with prefix, from the key from on, until fn gives errStop.
func (b *bucket) each(tx *bbolt.Tx, prefix, from []byte, fn func(key, payload []byte) error) error {
	return b.values(tx, prefix, from, func(k, v []byte) error { return fn(k, v[4:]) })
}

// values is each with the checksums, which are right, before the payloads.
func (b *bucket) values(tx *bbolt.Tx, prefix, from []byte, fn func(key, value []byte) error) error {
	c := tx.Bucket(b.name).Cursor()
	var last []byte
	for k, v := c.Seek(from); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if last != nil && bytes.Compare(k, last) <= 0 {
			return &journal.DamageError{Damage: journal.Damage{Kind: "page", Detail: "the keys of " + string(b.name) + " are out of order"}}
		}
		last = k
		if _, err := b.unseal(k, v); err != nil {
			return b.damage(k, err.Error())
		}
		if err := fn(k, v); err == errStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
