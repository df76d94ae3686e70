package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Verified says how much Verify has looked at.
type Verified = journal.Verified

// Verify reads the whole file, and tells fn of all that is not as it was written: every checksum of every bucket, the links
// of every run, gaps in the log that no purge explains, heads against the records they name, indexes against heads,
// definitions against their digests; and, in a journal opened by OpenReadOnly, bbolt's pages. It may run beside an engine
// at work. The error is that it could not go on; damage alone is none.
func (j *Journal) Verify(ctx context.Context, fn func(journal.Damage)) (Verified, error) {
	return j.VerifyWith(ctx, fn, nil)
}

// VerifyWith is Verify that tells how much of it is done, from 0 to 1.
func (j *Journal) VerifyWith(ctx context.Context, fn func(journal.Damage), progress func(done float64)) (Verified, error) {
	v := verifier{j: j, ctx: ctx, fn: fn, runs: map[uint64]runEnd{}, progress: progress}
	for _, step := range []struct {
		check func() error
		share float64 // of the whole, about
	}{{v.pages, .05}, {v.log, .5}, {v.heads, .15}, {v.ids, .05}, {v.indexes, .1}, {v.snapshots, .03}, {v.objects, .03}, {v.definitions, .02}, {v.waypoints, .02},
		{v.holes, .02}, {v.settings, .03}} {
		v.share = step.share
		if err := step.check(); err != nil {
			return v.Verified, err
		}
		v.begun += step.share
		v.part(0)
	}
	return v.Verified, nil
}

// part tells how much of the check at hand is done.
func (v *verifier) part(done float64) {
	if v.progress != nil {
		v.progress(min(v.begun+v.share*done, 1))
	}
}

type verifier struct {
	Verified
	j       *Journal
	ctx     context.Context
	fn      func(journal.Damage)
	runs    map[uint64]runEnd
	upto    uint64 // the log was read up to here
	damaged owners

	progress     func(float64) // nil: nobody wants to know
	begun, share float64       // of the checks before, and of the one at hand
}

// runEnd is how far a run has been read.
type runEnd struct {
	last  uint64 // record
	n     uint64 // position of its last event
	known bool   // its head was seen
}

func (v *verifier) report(d journal.Damage) {
	v.Damages++
	v.fn(d)
}

func (v *verifier) bad(d *journal.DamageError) { v.report(d.Damage) }

// each reads a bucket.
func (v *verifier) each(b *bucket, fn func(tx *bbolt.Tx, key, payload []byte)) error {
	err := v.j.rows(b, fn, v.bad)
	var damage *journal.DamageError
	if errors.As(err, &damage) {
		v.report(damage.Damage)
		err = nil
	}
	return errors.Join(err, v.ctx.Err())
}

func (v *verifier) pages() error {
	if !v.j.readOnly {
		return nil
	}
	_, err := checkPages(v.j.path, time.Second, true)
	var file *FileError
	if errors.As(err, &file) && file.Kind == ErrDamagedFile {
		v.report(journal.Damage{Kind: "page", Detail: file.Reason})
		return nil
	}
	return err
}

func (v *verifier) log() error {
	before, err := v.tail()
	if err != nil {
		return err
	}
	v.upto = before.next
	for after := uint64(0); ; {
		err := v.j.Scan(after, 0, func(r journal.Record) error {
			if r.Seq >= v.upto {
				return errStop
			}
			after = r.End() - 1
			v.record(&r)
			if v.Records%pageRecords == 0 {
				first := journal.ShardOf(r.Seq).First()
				v.part(float64(r.Seq-first) / float64(max(v.upto-first, 1)))
				return v.ctx.Err()
			}
			return nil
		})
		var damage *journal.DamageError
		if !errors.As(err, &damage) {
			if err != nil && err != errStop {
				return err
			}
			break
		}
		v.damaged.damage(damage.Damage)
		if damage.Seq == 0 {
			break
		}
		after = damage.End() - 1
	}
	for _, d := range v.damaged.resolve(v.j) {
		v.report(d)
	}
	after, err := v.tail()
	if err == nil && v.Damages == 0 && after == before && v.Records != before.records {
		v.report(journal.Damage{Kind: "tail", Detail: fmt.Sprintf("%d records in the log, want %d", v.Records, before.records)})
	}
	return err
}

// tail reads where the log ends: in the file, which may be a commit ahead of what its callers have been told.
func (v *verifier) tail() (t tail, err error) {
	err = v.j.view(func(tx *bbolt.Tx) error {
		t, err = tailOf(tx)
		return err
	})
	return t, err
}

// record checks that a record follows its run's previous one.
func (v *verifier) record(r *journal.Record) {
	v.Records++
	v.Events += uint64(r.Count)
	v.Bytes += uint64(len(r.Body))
	v.damaged.link(r)
	if r.Run == 0 {
		return
	}
	end, seen := v.runs[r.Run]
	bad := ""
	switch {
	case r.Prev == 0 && (r.Seq != r.Run || r.N != 1):
		bad = fmt.Sprintf("it is linked to none, but is not the run's first: position %d", r.N)
	case r.Prev == 0 || v.damaged.covers(r.Prev):
	case !seen:
		bad = fmt.Sprintf("it follows record %d, but that is not the run's", r.Prev)
	case end.last != r.Prev:
		bad = fmt.Sprintf("it follows record %d, but the run's record before it is %d", r.Prev, end.last)
	case end.n+1 != r.N:
		bad = fmt.Sprintf("it begins at position %d, the run's record before it ends at %d", r.N, end.n)
	}
	if bad != "" {
		v.report(journal.Damage{Seq: r.Seq, Count: r.Count, Run: r.Run, Kind: "link", Detail: bad})
	}
	if !seen {
		v.Runs++
	}
	v.runs[r.Run] = runEnd{last: r.Seq, n: r.Last()}
}

// heads checks each head against its records, its id and its index rows.
func (v *verifier) heads() error {
	err := v.each(headBucket, func(tx *bbolt.Tx, k, p []byte) {
		h, err := decodeHead(k, p)
		if err != nil {
			v.bad(headBucket.damage(nil, err.Error()))
			return
		}
		if first := journal.ShardOf(h.Run).First(); v.progress != nil {
			v.part(float64(h.Run-first) / float64(max(v.upto-first, 1)))
		}
		if end, ok := v.runs[h.Run]; ok {
			end.known = true
			v.runs[h.Run] = end
		} else if h.Run < v.upto && !v.damaged.covers(h.Run) {
			v.report(journal.Damage{Run: h.Run, Kind: "head", Detail: "the run has no records"})
		}
		if bad := v.head(tx, &h); bad != "" {
			v.report(journal.Damage{Run: h.Run, Kind: "head", Detail: bad})
		}
	})
	if err != nil {
		return err
	}
	var without []uint64
	for run, end := range v.runs {
		if !end.known {
			without = append(without, run)
		}
	}
	slices.Sort(without)
	for _, run := range without {
		var ok bool
		err := v.j.view(func(tx *bbolt.Tx) (err error) { _, ok, err = headOf(tx, run); return err }) // it may have been purged meanwhile, and is known when its head is damaged
		var damage *journal.DamageError
		if errors.As(err, &damage) && damage.Detail == "missing" {
			v.bad(damage)
		} else if err == nil && !ok && v.stillThere(run) {
			v.report(journal.Damage{Run: run, Kind: "head", Detail: "missing"})
		}
	}
	return nil
}

func (v *verifier) stillThere(run uint64) bool {
	r, err := v.j.Get(v.runs[run].last)
	return err == nil && r.Run == run
}

// head says what is wrong with a head that is whole by itself.
func (v *verifier) head(tx *bbolt.Tx, h *journal.Head) string {
	if !v.damaged.covers(h.LastSeq) {
		r, err := find(tx, h.LastSeq)
		switch {
		case err != nil:
			return fmt.Sprintf("it names record %d as the last: %v", h.LastSeq, err)
		case r.Seq != h.LastSeq || r.Run != h.Run:
			return fmt.Sprintf("it names record %d as the last, which is not the run's", h.LastSeq)
		case r.Last() != h.Events:
			return fmt.Sprintf("it counts %d events, record %d ends at position %d", h.Events, h.LastSeq, r.Last())
		}
	}
	id, err := idBucket.get(tx, []byte(h.ID))
	if err == nil {
		if run, until, derr := decodeID(id); id == nil || derr != nil || run != h.Run || until != 0 {
			return fmt.Sprintf("its id %q leads to run %d", h.ID, run)
		}
	}
	if p, err := flowBucket.get(tx, flowKey(h.Workflow, h.Run)); err == nil && p == nil {
		return fmt.Sprintf("it is not in the index of workflow %q", h.Workflow)
	}
	if t, indexed := timesOf(tx); indexed && h.EndedAt != 0 && !slices.Contains(t.late, h.Run) {
		for _, k := range rowsOf(h) {
			if p, err := endBucket.get(tx, k); err == nil && p == nil {
				return "it is not in the index of runs by end"
			}
		}
	}
	for _, k := range tagKeys(h) {
		if p, err := tagBucket.get(tx, k); err == nil && p == nil {
			return "it is not in the index of runs by tag"
		}
	}
	if p, err := stateBucket.get(tx, stateKey(h.State, h.Run)); err == nil && (p == nil) != (h.State == journal.CompletedState) {
		return fmt.Sprintf("its state is %d, the index of states says otherwise", h.State)
	}
	return ""
}

func (v *verifier) ids() error {
	return v.each(idBucket, func(tx *bbolt.Tx, k, p []byte) {
		run, until, err := decodeID(p)
		if err != nil {
			v.bad(idBucket.damage(k, err.Error()))
		} else if h, ok, err := headOf(tx, run); until == 0 && err == nil && (!ok || h.ID != string(k)) {
			v.report(journal.Damage{Kind: "id", Detail: fmt.Sprintf("%q leads to run %d, which has no such id", k, run)})
		}
	})
}

func (v *verifier) indexes() error {
	err := v.each(stateBucket, func(tx *bbolt.Tx, k, _ []byte) {
		if len(k) != 9 {
			v.report(journal.Damage{Kind: "index", Detail: "malformed key"})
		} else if h, ok, err := headOf(tx, binary.BigEndian.Uint64(k[1:])); err == nil && (!ok || h.State != k[0]) {
			v.report(journal.Damage{Run: binary.BigEndian.Uint64(k[1:]), Kind: "index", Detail: fmt.Sprintf("it lists the run in state %d", k[0])})
		}
	})
	if err != nil {
		return err
	}
	if err := errors.Join(v.ends(), v.tags(), v.expiry()); err != nil {
		return err
	}
	return v.each(flowBucket, func(tx *bbolt.Tx, k, _ []byte) {
		if len(k) < 9 {
			v.report(journal.Damage{Kind: "index", Detail: "malformed key"})
			return
		}
		run := binary.BigEndian.Uint64(k[len(k)-8:])
		if h, ok, err := headOf(tx, run); err == nil && (!ok || !bytes.Equal(flowKey(h.Workflow, run), k)) {
			v.report(journal.Damage{Run: run, Kind: "index", Detail: fmt.Sprintf("it lists the run under %q", k[1:len(k)-8])})
		}
	})
}

// ends checks the index by end, where no older release has written behind it.
func (v *verifier) ends() error {
	indexed := false
	err := v.j.view(func(tx *bbolt.Tx) error { _, indexed = timesOf(tx); return nil })
	if err != nil || !indexed {
		return err
	}
	return v.each(endBucket, func(tx *bbolt.Tx, k, _ []byte) {
		if len(k) < 17 {
			v.report(journal.Damage{Kind: "index", Detail: "malformed key"})
			return
		}
		run := binary.BigEndian.Uint64(k[len(k)-8:])
		listed := func(key []byte) bool { return bytes.Equal(key, k) }
		if h, ok, err := headOf(tx, run); err == nil && (!ok || h.EndedAt == 0 || !slices.ContainsFunc(rowsOf(&h), listed)) {
			v.report(journal.Damage{Run: run, Kind: "index", Detail: fmt.Sprintf("it lists an end of the run that was not: %x", k[:len(k)-8])})
		}
	})
}

// tags checks the index by tag.
func (v *verifier) tags() error {
	return v.each(tagBucket, func(tx *bbolt.Tx, k, _ []byte) {
		if len(k) < 9 {
			v.report(journal.Damage{Kind: "index", Detail: "malformed key"})
			return
		}
		run := binary.BigEndian.Uint64(k[len(k)-8:])
		listed := func(key []byte) bool { return bytes.Equal(key, k) }
		if h, ok, err := headOf(tx, run); err == nil && (!ok || !slices.ContainsFunc(tagKeys(&h), listed)) {
			v.report(journal.Damage{Run: run, Kind: "index", Detail: fmt.Sprintf("it lists the run under a tag that it does not have: %q", k[:len(k)-8])})
		}
	})
}

// expiry checks the index of what purges have left behind.
func (v *verifier) expiry() error {
	return v.each(expiryBucket, func(tx *bbolt.Tx, k, _ []byte) {
		bad := ""
		switch {
		case len(k) > 9 && k[8] == expiryOfID:
			// a later run may have had the id since, and may be gone, too
		case len(k) == 17 && k[8] == expiryOfEntry:
			if r, err := find(tx, seqOf(k[9:])); err == nil && r.Run != 0 {
				bad = fmt.Sprintf("it names record %d, which is of a run", r.Seq)
			}
		default:
			bad = "malformed key"
		}
		if bad != "" {
			v.report(journal.Damage{Kind: "index", Detail: bad})
		}
	})
}

func rowsOf(h *journal.Head) [][]byte {
	late := lateOf(h)
	return endKeys(&late)
}

// verifying is the visitor that only wants damage.
type verifying struct{ v *verifier }

func (w verifying) Clean(bool)                     {}
func (w verifying) Record(journal.Record) error    { return nil }
func (w verifying) Damaged(d journal.Damage) error { w.v.report(d); return nil }
func (w verifying) Snapshot(s journal.Snapshot) error {
	w.v.Snapshots++
	if s.Seq >= w.v.upto || w.v.damaged.covers(s.Seq) {
		return nil
	}
	r, err := w.v.j.Get(s.Seq)
	if err == nil && r.Seq == s.Seq && r.Run == s.Run {
		return nil
	}
	if _, ok, herr := w.v.j.Head(s.Run); herr == nil && !ok && errors.Is(err, journal.ErrNotFound) {
		return nil // purged meanwhile
	}
	w.v.report(journal.Damage{Run: s.Run, Kind: "snapshot", Detail: fmt.Sprintf("it is of record %d, which is not the run's", s.Seq)})
	return nil
}

func (v *verifier) snapshots() error {
	t, err := v.tail()
	if err != nil {
		return err
	}
	return errors.Join(v.j.snapshots(t.base, verifying{v}), v.ctx.Err())
}

func (v *verifier) objects() error {
	return v.each(objectBucket, func(_ *bbolt.Tx, k, p []byte) {
		v.Objects++
		if _, err := decodeObject(k, p); err != nil {
			v.bad(objectBucket.damage(k, err.Error()))
		}
	})
}

func (v *verifier) definitions() error {
	err := v.each(bodyBucket, func(_ *bbolt.Tx, k, p []byte) {
		var damage *journal.DamageError
		if errors.As(checkDigest(string(k), p), &damage) {
			v.bad(damage)
		}
	})
	if err != nil {
		return err
	}
	err = v.each(definitionBucket, func(tx *bbolt.Tx, k, p []byte) {
		v.Definitions++
		d, err := decodeDefinition(k, p)
		if err != nil {
			v.bad(definitionBucket.damage(nil, err.Error()))
		} else if d.Digest == "" { // it was deleted
		} else if body, err := bodyBucket.get(tx, []byte(d.Digest)); err == nil && body == nil {
			v.report(journal.Damage{Kind: "definition", Detail: fmt.Sprintf("%s version %d: no body of %s", d.Name, d.Version, d.Digest)})
		}
	})
	if err != nil {
		return err
	}
	return v.each(currentBucket, func(tx *bbolt.Tx, k, p []byte) {
		version, err := currentVersion(tx, string(k))
		if err != nil {
			return // reported by each
		}
		if d, err := definitionBucket.get(tx, definitionKey(string(k), version)); err == nil && d == nil {
			v.report(journal.Damage{Kind: "definition", Detail: fmt.Sprintf("version %d of %q is current, but is not there", version, k)})
		}
	})
}

func (v *verifier) waypoints() error {
	return v.each(waypointBucket, func(tx *bbolt.Tx, k, p []byte) {
		d := decoder{p: p}
		seq := d.uvarint()
		if len(k) != 16 || d.bad {
			v.report(journal.Damage{Kind: "waypoint", Detail: "malformed"})
			return
		}
		run, n := binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(k[8:])
		if r, err := find(tx, seq); !v.damaged.covers(seq) && (err != nil || r.Seq != seq || r.Run != run || r.N != n) {
			v.report(journal.Damage{Run: run, Kind: "waypoint", Detail: fmt.Sprintf("position %d is not at record %d", n, seq)})
		}
	})
}

func (v *verifier) holes() error {
	last := uint64(0)
	return v.each(holeBucket, func(_ *bbolt.Tx, k, p []byte) {
		d := decoder{p: p}
		n := d.uvarint()
		if len(k) != 8 || d.bad || n == 0 || binary.BigEndian.Uint64(k) < last {
			v.report(journal.Damage{Kind: "hole", Detail: "malformed, or it reaches into the one before it"})
			return
		}
		last = binary.BigEndian.Uint64(k) + n
	})
}

func (v *verifier) settings() error {
	if err := v.each(metaBucket, func(*bbolt.Tx, []byte, []byte) {}); err != nil {
		return err
	}
	if err := v.each(saidBucket, func(_ *bbolt.Tx, k, p []byte) {
		if _, err := decodeSaid(k, p); err != nil {
			v.bad(saidBucket.damage(k, err.Error()))
		}
	}); err != nil {
		return err
	}
	return v.each(rowBucket, func(*bbolt.Tx, []byte, []byte) { v.Rows++ })
}
