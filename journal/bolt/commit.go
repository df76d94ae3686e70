package bolt

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// touchedBytes is about what a commit needs for pages that it has to write again, besides what it adds.
const touchedBytes = 256 << 10

// needOf is about what a group may need behind the end of what is used.
func needOf(group []queue.Item) int64 {
	bytes := 0
	for _, q := range group {
		bytes += q.Bytes
	}
	return int64(2*bytes) + touchedBytes
}

// commit writes the batches of a group in one transaction. nil: they are on stable storage.
func (j *Journal) commit(group []queue.Item) error {
	return j.write(len(group) > 0, needOf(group), func(w *writer) (batches uint64, err error) {
		for _, q := range group {
			if q.Err != nil {
				continue
			}
			batches++
			if err := w.batch(q.Batch); err != nil {
				return 0, err
			}
		}
		return batches, nil
	})
}

// write commits what fn writes, which needs about so many bytes. changes false: it only looks whether that is possible.
func (j *Journal) write(changes bool, need int64, fn func(*writer) (batches uint64, err error)) (err error) {
	began := time.Now()
	if err := j.place.there(j.file()); err != nil {
		return err
	}
	defer guard(&err)()
	tx, err := j.db().Begin(true)
	if err != nil {
		return err
	}
	w := writer{j: j, tx: tx, arena: j.arena[:0], tail: j.tail, clock: j.clock, indexed: j.indexed, late: append(j.spareLate[:0], j.late...), follow: j.follower != nil}
	w.tail.clean = !changes && w.tail.clean // a probe changes nothing
	batches, err := fn(&w)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := w.finish(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	j.fillAhead(tx.Size(), need)
	j.db().NoFreelistSync = changes && j.db().Stats().FreelistInuse > freelistBytes
	if err := tx.Commit(); err != nil {
		return err
	}
	if j.follower != nil {
		j.follower.note(w.touched)
	}
	if cap(w.arena) <= 16<<20 {
		j.arena = w.arena
	}
	j.clock = w.clock
	j.late, j.spareLate = w.late, j.late
	j.mu.Lock()
	j.tail = w.tail
	j.stats.Commits++
	j.stats.CommitTook.Observe(time.Since(began))
	j.stats.CommitRecords.Observe(int(w.records))
	j.stats.Batches += batches
	j.stats.Appended += w.records
	j.stats.PutBytes += w.bytes
	j.mu.Unlock()
	return nil
}

// writer writes batches into a transaction. bbolt refers to the keys and values it was given until the transaction is
// committed: they lie in the arena, one after the other.
type writer struct {
	j       *Journal
	tx      *bbolt.Tx
	arena   []byte
	tail    tail
	heads   []journal.Head // of all batches; written at the end, in order
	snaps   []journal.Snapshot
	records uint64
	bytes   uint64
	clock   clock
	indexed bool
	late    []lateEnd

	follow  bool // note which rows change
	touched []row
}

// row is one of a bucket.
type row struct {
	b   *bucket
	key []byte
}

// put seals and puts a row that lies at the end of the arena: its key begins at key, its value, whose first four bytes are
// left for the checksum, at value.
func (w *writer) put(b *bucket, to *bbolt.Bucket, key, value int) error {
	end := len(w.arena)
	k, v := w.arena[key:value:value], w.arena[value:end:end]
	b.seal(k, v)
	w.bytes += uint64(end - key)
	w.touch(b, k)
	return to.Put(k, v)
}

// del removes a row.
func (w *writer) del(b *bucket, key []byte) error {
	w.touch(b, key)
	return w.tx.Bucket(b.name).Delete(key)
}

// touch notes a row that changes, if somebody copies the file meanwhile.
func (w *writer) touch(b *bucket, key []byte) {
	if w.follow {
		w.touched = append(w.touched, row{b, key})
	}
}

// row puts a row that is not worth an own way.
func (w *writer) row(b *bucket, key, payload []byte) error {
	k := len(w.arena)
	w.arena = append(w.arena, key...)
	v := len(w.arena)
	w.arena = append(w.arena, 0, 0, 0, 0)
	w.arena = append(w.arena, payload...)
	return w.put(b, w.tx.Bucket(b.name), k, v)
}

func (w *writer) batch(b *journal.Batch) error {
	if err := w.log(b.Records); err != nil {
		return err
	}
	w.heads = append(w.heads, b.Heads...)
	w.snaps = append(w.snaps, b.Snapshots...)
	w.tail.clean = b.Clean
	if b.Base != 0 {
		w.tail.base = b.Base
	}
	for i := range b.Objects {
		if err := w.object(&b.Objects[i]); err != nil {
			return err
		}
	}
	for i := range b.Definitions {
		if err := w.definition(&b.Definitions[i]); err != nil {
			return err
		}
	}
	for i := range b.Rows {
		if err := w.setting(&b.Rows[i]); err != nil {
			return err
		}
	}
	for i := range b.Said {
		if err := w.said(&b.Said[i]); err != nil {
			return err
		}
	}
	if len(b.Purges) > 0 {
		if err := w.purges(b.Purges); err != nil {
			return err
		}
	}
	return w.sweep(b.Sweep)
}

// log puts records at the right edge of the log: its pages are filled to the brim, for nothing is ever put between them.
func (w *writer) log(records []journal.Record) error {
	if len(records) == 0 {
		return nil
	}
	to := w.tx.Bucket(logBucket.name)
	to.FillPercent = 1
	for i := range records {
		r := &records[i]
		r.Left, w.tail.last = w.tail.last, r.Run
		k := len(w.arena)
		w.arena = binary.BigEndian.AppendUint64(w.arena, r.Seq)
		v := len(w.arena)
		w.arena = appendRecord(w.arena, r)
		if err := w.put(logBucket, to, k, v); err != nil {
			return err
		}
		if r.Run != 0 && isWaypoint(r) {
			if err := w.waypoint(r); err != nil {
				return err
			}
		}
	}
	w.records += uint64(len(records))
	w.tail.records += uint64(len(records))
	w.tail.next = records[len(records)-1].End()
	return nil
}

// finish writes what was collected, and where the log ends.
func (w *writer) finish() error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.indexed {
		if err := w.settleEnds(); err != nil {
			return err
		}
		t := times{next: w.tail.next, slack: w.clock.slack, late: make([]uint64, len(w.late))}
		for i := range w.late {
			t.late[i] = w.late[i].Run
		}
		if err := w.row(metaBucket, timesKey, t.append(make([]byte, 0, 32+4*len(t.late)))); err != nil {
			return err
		}
	}
	return w.row(metaBucket, tailKey, w.tail.append(nil))
}

// flush writes the heads and snapshots that were collected, by run and only the newest of each.
func (w *writer) flush() error {
	slices.SortStableFunc(w.heads, func(a, b journal.Head) int { return cmp.Compare(a.Run, b.Run) })
	for i := range w.heads {
		if i+1 < len(w.heads) && w.heads[i+1].Run == w.heads[i].Run {
			continue
		}
		if err := w.head(&w.heads[i]); err != nil {
			return err
		}
	}
	w.heads = w.heads[:0]
	slices.SortStableFunc(w.snaps, func(a, b journal.Snapshot) int { return cmp.Compare(a.Run, b.Run) })
	for i := range w.snaps {
		if i+1 < len(w.snaps) && w.snaps[i+1].Run == w.snaps[i].Run {
			continue
		}
		if err := w.snapshot(&w.snaps[i]); err != nil {
			return err
		}
	}
	w.snaps = w.snaps[:0]
	return nil
}

// id puts the id of a run. Where a damaged key has put the rows out of order it would stand where nobody finds it, and hide others: there
// it goes without its row, and is found by its head, as those beside it are.
func (w *writer) id(id string, run uint64) error {
	key := []byte(id)
	in := w.tx.Bucket(idBucket.name)
	c := in.Cursor()
	if k, v := c.Seek(key); !bytes.Equal(k, key) {
		if _, err := idBucket.absent(c, k, v, key); err != nil && !ordered(in.Cursor(), key) {
			return nil
		}
	}
	return w.row(idBucket, key, appendID(nil, run, 0))
}

// head puts a head and brings the indexes up to it.
func (w *writer) head(h *journal.Head) error {
	to := w.tx.Bucket(headBucket.name)
	to.FillPercent = 0.8 // a head grows by its digest when the run ends
	k := len(w.arena)
	w.arena = binary.BigEndian.AppendUint64(w.arena, h.Run)
	v := len(w.arena)
	was := to.Get(w.arena[k:v])
	old, before := w.oldHead(w.arena[k:v], was)
	if was == nil {
		w.clock.start(h.CreatedAt)
	}
	w.arena = append(w.arena, 0, 0, 0, 0)
	w.arena = appendHead(w.arena, h)
	if err := w.put(headBucket, to, k, v); err != nil {
		return err
	}
	if old == nil {
		if err := w.id(h.ID, h.Run); err != nil {
			return err
		}
		if err := w.row(flowBucket, flowKey(h.Workflow, h.Run), nil); err != nil {
			return err
		}
	}
	if err := w.end(old, h, old == nil && was != nil); err != nil {
		return err
	}
	if err := w.retag(old, h, old == nil && was != nil); err != nil {
		return err
	}
	for _, state := range before {
		if state == h.State {
			return nil
		}
		if err := w.del(stateBucket, stateKey(state, h.Run)); err != nil {
			return err
		}
	}
	if h.State == journal.CompletedState {
		return nil
	}
	return w.row(stateBucket, stateKey(h.State, h.Run), nil)
}

// oldHead gives the head that is replaced, and the states under which the index may have the run. It may be damaged, and is nil
// then: the new one, which comes from the engine's memory, mends what it can.
func (w *writer) oldHead(key, value []byte) (old *journal.Head, states []uint8) {
	if value == nil {
		return nil, nil
	}
	p, err := headBucket.unseal(key, value)
	if err == nil {
		var h journal.Head
		if h, err = decodeHead(key, p); err == nil {
			return &h, []uint8{h.State}
		}
	}
	for state := uint8(0); state < 16; state++ {
		k := stateKey(state, binary.BigEndian.Uint64(key))
		if w.tx.Bucket(stateBucket.name).Get(k) != nil {
			states = append(states, state)
		}
	}
	return nil, states
}

func (w *writer) snapshot(s *journal.Snapshot) error {
	to := w.tx.Bucket(snapshotBucket.name)
	to.FillPercent = 0.8
	k := len(w.arena)
	w.arena = binary.BigEndian.AppendUint64(w.arena, s.Run)
	v := len(w.arena)
	if s.State == nil {
		return w.del(snapshotBucket, w.arena[k:v:v])
	}
	w.arena = append(w.arena, 0, 0, 0, 0)
	w.arena = binary.AppendUvarint(w.arena, s.Seq)
	w.arena = append(w.arena, s.State...)
	return w.put(snapshotBucket, to, k, v)
}

func (w *writer) object(o *journal.Object) error {
	if o.State == nil {
		return w.del(objectBucket, []byte(o.Key))
	}
	return w.row(objectBucket, []byte(o.Key), appendObject(nil, o))
}

func (w *writer) setting(r *journal.Row) error {
	if r.Value == nil {
		return w.del(rowBucket, []byte(r.Key))
	}
	return w.row(rowBucket, []byte(r.Key), r.Value)
}

func (w *writer) definition(d *journal.Definition) error {
	if d.Digest == "" {
		return w.undefine(d)
	}
	if len(d.Body) > 0 {
		if err := w.row(bodyBucket, []byte(d.Digest), d.Body); err != nil {
			return err
		}
	} else if w.tx.Bucket(bodyBucket.name).Get([]byte(d.Digest)) == nil {
		return fmt.Errorf("journal: definition %s version %d: no body of %s is stored", d.Name, d.Version, d.Digest)
	}
	if err := w.row(definitionBucket, definitionKey(d.Name, d.Version), append(appendMillis(nil, d.At), d.Digest...)); err != nil {
		return err
	}
	if !d.Current {
		return nil
	}
	return w.row(currentBucket, []byte(d.Name), binary.AppendUvarint(nil, uint64(d.Version)))
}

// undefine leaves of a version its number alone.
func (w *writer) undefine(d *journal.Definition) error {
	key := definitionKey(d.Name, d.Version)
	p, damage := definitionBucket.get(w.tx, key)
	if damage == nil && p == nil {
		return nil
	}
	was := journal.Definition{}
	if damage == nil { // of one that is damaged the body stays
		was, _ = decodeDefinition(key, p)
	}
	if err := w.row(definitionBucket, key, appendMillis(nil, d.At)); err != nil {
		return err
	}
	if current, err := currentVersion(w.tx, d.Name); err != nil || current == d.Version { // no other than the current one goes last
		if err := w.tx.Bucket(currentBucket.name).Delete([]byte(d.Name)); err != nil {
			return err
		}
	}
	used := was.Digest == ""
	definitionBucket.walk(w.tx, func(k, p []byte, err error) {
		other, bad := decodeDefinition(k, p)
		used = used || err != nil || bad != nil || other.Digest == was.Digest // one that is damaged may be of that body
	})
	if used {
		return nil
	}
	return w.tx.Bucket(bodyBucket.name).Delete([]byte(was.Digest))
}
