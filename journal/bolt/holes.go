package bolt

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Where records were purged stands in the bucket holes, so that a gap in the log without a reason is damage: under the first
// sequence of the gap (8), in ranges that do not touch,
//
//	| length: uvarint |

// holeAt gives the end (exclusive) of the hole that contains seq; 0: none does.
func holeAt(tx *bbolt.Tx, seq uint64) (end uint64, err error) {
	c := tx.Bucket(holeBucket.name).Cursor()
	k, v := c.Seek(seqKey(seq))
	if len(k) != 8 || binary.BigEndian.Uint64(k) != seq {
		if k == nil {
			k, v = c.Last()
		} else {
			k, v = c.Prev()
		}
	}
	if k == nil {
		return 0, nil
	}
	from, end, err := decodeHole(k, v)
	if err != nil || from > seq || end <= seq {
		return 0, err
	}
	return end, nil
}

// holeAfter gives the first hole that begins after seq; 0: none does.
func holeAfter(tx *bbolt.Tx, seq uint64) (from uint64, err error) {
	k, v := tx.Bucket(holeBucket.name).Cursor().Seek(seqKey(seq + 1))
	if k == nil {
		return 0, nil
	}
	from, _, err = decodeHole(k, v)
	return from, err
}

func decodeHole(k, v []byte) (from, end uint64, err error) {
	p, err := holeBucket.unseal(k, v)
	if err != nil {
		return 0, 0, &journal.DamageError{Damage: journal.Damage{Kind: "hole", Detail: err.Error()}}
	}
	n, size := binary.Uvarint(p)
	if len(k) != 8 || size != len(p) || n == 0 {
		return 0, 0, &journal.DamageError{Damage: journal.Damage{Kind: "hole", Detail: "malformed"}}
	}
	from = binary.BigEndian.Uint64(k)
	return from, from + n, nil
}

// hole notes that [from, end) was purged, as one with the holes it touches. A damaged row beside it is left as it is.
func (w *writer) hole(from, end uint64) error {
	b := w.tx.Bucket(holeBucket.name)
	c := b.Cursor()
	if k, v := c.Seek(seqKey(end)); k != nil {
		if next, nextEnd, err := decodeHole(k, v); err == nil && next == end {
			if err := w.del(holeBucket, seqKey(next)); err != nil {
				return err
			}
			end = nextEnd
		}
	}
	c = b.Cursor()
	var v []byte
	k, _ := c.Seek(seqKey(from))
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	if k != nil {
		if before, beforeEnd, err := decodeHole(k, v); err == nil && beforeEnd == from {
			from = before
		}
	}
	return w.row(holeBucket, seqKey(from), binary.AppendUvarint(nil, end-from))
}

func (w *writer) purges(all []journal.Purge) error {
	if err := w.flush(); err != nil { // a purge reads what stands in the file
		return err
	}
	var spans []span
	for i := range all {
		own, err := w.purge(&all[i])
		if err != nil {
			return err
		}
		spans = append(spans, own...)
	}
	if err := w.unlog(spans); err != nil {
		return err
	}
	if w.tx.Bucket(expiryBucket.name) == nil {
		return nil
	}
	return w.expire(all)
}

// purge removes a run, all but its records, and gives where these are. They are found over their links; where those are damaged, by
// reading the log.
func (w *writer) purge(p *journal.Purge) ([]span, error) {
	key := seqKey(p.Run)
	payload, err := headBucket.get(w.tx, key)
	if payload == nil && err == nil {
		return nil, nil // without a head there is no run: it may have been purged before
	}
	var h journal.Head
	if err == nil {
		h, err = decodeHead(key, payload)
	}
	if err != nil {
		spans, serr := spansBefore(w.tx, p.Run, w.tail.next)
		if serr != nil {
			return nil, serr
		}
		return spans, w.forgetDamaged(p.Run, p.Until, headBucket.damage(key, err.Error()))
	}
	spans, err := spansOf(w.tx, p.Run, h.LastSeq)
	if err != nil {
		return nil, err
	}
	return spans, w.forget(&h, p.Until)
}

// unlog removes records. Those of runs that went on at the same time lie side by side, and leave one hole.
func (w *writer) unlog(spans []span) error {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 0; i < len(spans); {
		hole := spans[i]
		for ; i < len(spans) && spans[i].from <= hole.end; i++ {
			if err := w.del(logBucket, seqKey(spans[i].from)); err != nil {
				return err
			}
			hole.end = max(hole.end, spans[i].end)
		}
		if err := w.hole(hole.from, hole.end); err != nil {
			return err
		}
	}
	w.tail.records -= uint64(len(spans))
	return nil
}

// forget removes what leads to a run.
func (w *writer) forget(h *journal.Head, until int64) error {
	var points [][]byte
	c := w.tx.Bucket(waypointBucket.name).Cursor()
	for k, _ := c.Seek(seqKey(h.Run)); len(k) == 16 && binary.BigEndian.Uint64(k) == h.Run; k, _ = c.Next() {
		points = append(points, append([]byte(nil), k...))
	}
	for _, k := range points {
		if err := w.del(waypointBucket, k); err != nil {
			return err
		}
	}
	for _, gone := range []struct {
		b   *bucket
		key []byte
	}{{headBucket, seqKey(h.Run)}, {snapshotBucket, seqKey(h.Run)}, {stateBucket, stateKey(h.State, h.Run)}, {flowBucket, flowKey(h.Workflow, h.Run)}} {
		if err := w.del(gone.b, gone.key); err != nil {
			return err
		}
	}
	if err := w.unsay(h.Run); err != nil {
		return err
	}
	if err := errors.Join(w.unend(h), w.tag(h, nil)); err != nil {
		return err
	}
	if h.ID == "" {
		return nil // its head was damaged
	}
	if id, err := idBucket.get(w.tx, []byte(h.ID)); err == nil {
		if run, _, err := decodeID(id); err == nil && run != h.Run {
			return nil // a later run has the id
		}
	}
	if until == 0 {
		return w.del(idBucket, []byte(h.ID))
	}
	if w.tx.Bucket(expiryBucket.name) != nil {
		if err := w.row(expiryBucket, expiryRow(until, expiryOfID, []byte(h.ID)), nil); err != nil {
			return err
		}
	}
	return w.row(idBucket, []byte(h.ID), appendID(nil, h.Run, until))
}

// span is the sequences of one record.
type span struct{ from, end uint64 }

// spansOf finds all records of a run up to last.
func spansOf(tx *bbolt.Tx, run, last uint64) ([]span, error) {
	var spans []span
	for seq := last; seq != 0; {
		r, err := find(tx, seq)
		if err == nil && r.Seq == seq && r.Run == run {
			spans = append(spans, span{r.Seq, r.End()})
			seq = r.Prev
			continue
		}
		var damage *journal.DamageError
		if err != nil && !errors.As(err, &damage) && err != journal.ErrNotFound {
			return nil, err
		}
		rest, err := spansBefore(tx, run, seq)
		return append(spans, rest...), err
	}
	return spans, nil
}

// spansBefore finds what is left of a run up to the damaged record at seq, which is the run's own, for a link led to it.
func spansBefore(tx *bbolt.Tx, run, seq uint64) ([]span, error) {
	l, err := logAfter(tx, run-1)
	if err != nil {
		return nil, err
	}
	var spans []span
	for {
		r, err := l.next()
		var damage *journal.DamageError
		switch {
		case errors.As(err, &damage):
			if damage.Seq == seq && damage.Detail != "missing" {
				spans = append(spans, span{seq, seq + uint64(damage.Count)})
			}
		case err != nil:
			return nil, err
		case r.Seq == 0 || r.Seq > seq:
			return spans, nil
		case r.Run == run:
			spans = append(spans, span{r.Seq, r.End()})
		}
	}
}
