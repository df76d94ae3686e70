package bolt

import (
	"encoding/binary"
	"errors"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// Recover reads what an engine needs to start: the snapshots of open runs, and the records after the last recovery point.
// Damage to them is reported, and passed over. See Visitor for the order.
func (j *Journal) Recover(v journal.Visitor) error {
	j.mu.Lock()
	t := j.tail
	j.mu.Unlock()
	v.Clean(t.clean)
	if err := j.snapshots(t.base, v); err != nil {
		return err
	}
	if err := j.logFrom(t.base, v); err != nil {
		return err
	}
	return j.view(func(tx *bbolt.Tx) error {
		unmap(tx)
		return nil
	})
}

// snapPage is snapshots that were copied out of a transaction, and the damage that was met among them.
type snapPage struct {
	snaps  []journal.Snapshot
	damage []journal.Damage
	arena  []byte
	after  uint64 // the last run that was looked at
	more   bool
}

// snapshots gives the snapshots by run. An open run from before the recovery point that has none is damage: it would be
// forgotten.
func (j *Journal) snapshots(base uint64, v journal.Visitor) error {
	var p snapPage
	for p.more = true; p.more; {
		p.snaps, p.damage, p.arena = p.snaps[:0], p.damage[:0], p.arena[:0]
		err := j.view(func(tx *bbolt.Tx) error { return p.read(tx, base) })
		if err != nil {
			return err
		}
		for _, s := range p.snaps {
			if err := v.Snapshot(s); err != nil {
				return err
			}
		}
		for _, d := range p.damage {
			if err := v.Damaged(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// read merges two lists that are in the order of runs: the snapshots, and the runs that are open.
func (p *snapPage) read(tx *bbolt.Tx, base uint64) error {
	snaps, open := tx.Bucket(snapshotBucket.name).Cursor(), tx.Bucket(stateBucket.name).Cursor()
	sk, sv := snaps.Seek(seqKey(p.after + 1))
	ok, ov := open.Seek(stateKey(journal.OpenState, p.after+1))
	for n := 0; n < pageRecords && len(p.arena) < pageBytes; n++ {
		s, o := snapRun(sk), openRun(ok, base)
		if s == noRun && o == noRun {
			p.more = false
			return nil
		}
		p.after = min(s, o)
		if o <= s {
			if _, err := stateBucket.unseal(ok, ov); err != nil {
				p.damage = append(p.damage, journal.Damage{Kind: "index", Detail: err.Error()})
			} else if o < s {
				p.damage = append(p.damage, journal.Damage{Run: o, Kind: "snapshot", Detail: "missing"})
			}
			ok, ov = open.Next()
		}
		if s <= o {
			p.snapshot(tx, sk, sv)
			sk, sv = snaps.Next()
		}
	}
	return nil
}

const noRun = 1<<64 - 1

func snapRun(k []byte) uint64 {
	if len(k) != 8 {
		return noRun
	}
	return binary.BigEndian.Uint64(k)
}

// openRun is the run of a key in the index of states, when it is open and from before the recovery point.
func openRun(k []byte, base uint64) uint64 {
	if len(k) != 9 || k[0] != journal.OpenState {
		return noRun
	}
	if run := binary.BigEndian.Uint64(k[1:]); run <= base {
		return run
	}
	return noRun
}

func (p *snapPage) snapshot(tx *bbolt.Tx, k, v []byte) {
	run := snapRun(k)
	b, err := snapshotBucket.unseal(k, v)
	d := decoder{p: b}
	seq := d.uvarint()
	if err == nil && d.bad {
		err = errors.New("malformed")
	}
	if err != nil {
		damage := journal.Damage{Kind: "snapshot", Detail: err.Error()}
		if head, herr := headBucket.get(tx, k); herr == nil && head != nil { // the key itself may be the damaged part
			damage.Run = run
		}
		p.damage = append(p.damage, damage)
		return
	}
	at := len(p.arena)
	p.arena = append(p.arena, d.p...)
	p.snaps = append(p.snaps, journal.Snapshot{Run: run, Seq: seq, State: p.arena[at:len(p.arena):len(p.arena)]})
}

// logFrom gives the records after base. When it meets damage it reads on to the end of the log first, to learn from the
// links of later records whose it is.
func (j *Journal) logFrom(base uint64, v journal.Visitor) error {
	told := false
	return journal.ScanPast(j.Scan, base, func(r journal.Record) error {
		if r.Seq <= base {
			return nil // it reaches over base, which is no recovery point then
		}
		return v.Record(r)
	}, func(after uint64, _ journal.Damage) error {
		if told {
			return nil
		}
		told = true
		for _, d := range j.damageAfter(after) {
			if err := v.Damaged(d); err != nil {
				return err
			}
		}
		return nil
	})
}

// damageAfter finds all damage to the log from a sequence on, with the runs as far as the rest of the file tells.
func (j *Journal) damageAfter(after uint64) []journal.Damage {
	var o owners
	_ = journal.ScanPast(j.Scan, after, func(r journal.Record) error { // what cannot be read on is told when recovery comes there
		o.link(&r)
		return nil
	}, func(_ uint64, d journal.Damage) error {
		o.damage(d)
		return nil
	})
	return o.resolve(j)
}
