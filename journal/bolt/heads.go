package bolt

import (
	"bytes"
	"cmp"
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
		h, ok, err = headOf(tx, run)
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
	return run, tombstoneUntil, ok && err == nil, err
}

// headsPage bounds how many rows are looked at in one transaction.
const headsPage = 2000

// Heads lists the runs that the filter picks, the newest first. The next page is Before the last run of this one.
func (j *Journal) Heads(f journal.HeadFilter) ([]journal.Head, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	if f.Before == 0 {
		f.Before = math.MaxUint64
	}
	if f.IDPrefix != "" {
		return j.headsByID(f)
	}
	var list []journal.Head
	for more := true; more && len(list) < f.Limit; {
		err := j.view(func(tx *bbolt.Tx) error {
			var err error
			more, err = headsFrom(tx, &f, &list)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// headsFrom adds to list what it finds in some rows, and moves f.Before behind them.
func headsFrom(tx *bbolt.Tx, f *journal.HeadFilter, list *[]journal.Head) (more bool, err error) {
	b, prefix := headBucket, []byte{}
	switch {
	case f.State != nil && *f.State != journal.CompletedState:
		b, prefix = stateBucket, []byte{*f.State}
	case f.Workflow != "":
		b, prefix = flowBucket, appendBytes(nil, f.Workflow)
	}
	c := tx.Bucket(b.name).Cursor()
	var v []byte
	k, _ := c.Seek(binary.BigEndian.AppendUint64(bytes.Clone(prefix), f.Before))
	if k == nil {
		k, v = c.Last()
	} else {
		k, v = c.Prev()
	}
	for n := 0; len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix); n++ {
		if n == headsPage || len(*list) == f.Limit {
			return true, nil
		}
		if _, err := b.unseal(k, v); err != nil {
			return false, b.damage(nil, err.Error())
		}
		run := binary.BigEndian.Uint64(k[len(prefix):])
		h, ok, err := headOf(tx, run)
		if err != nil {
			return false, err
		}
		if ok && f.Match(&h) {
			*list = append(*list, h)
		}
		f.Before = run
		k, v = c.Prev()
	}
	return false, nil
}

// headsByID reads the ids with a prefix, which are not in the order of runs.
func (j *Journal) headsByID(f journal.HeadFilter) ([]journal.Head, error) {
	var runs []uint64
	at := []byte(f.IDPrefix)
	for more := true; more; {
		err := j.view(func(tx *bbolt.Tx) error {
			c := tx.Bucket(idBucket.name).Cursor()
			k, v := c.Seek(at)
			for n := 0; bytes.HasPrefix(k, []byte(f.IDPrefix)); n++ {
				if n == headsPage {
					at = bytes.Clone(k)
					return nil
				}
				p, err := idBucket.unseal(k, v)
				if err != nil {
					return idBucket.damage(k, err.Error())
				}
				run, until, err := decodeID(p)
				if err != nil {
					return idBucket.damage(k, err.Error())
				}
				if until == 0 && run < f.Before {
					runs = append(runs, run)
				}
				k, v = c.Next()
			}
			more = false
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(runs, func(a, b uint64) int { return cmp.Compare(b, a) })
	var list []journal.Head
	for len(runs) > 0 && len(list) < f.Limit {
		some := runs[:min(len(runs), headsPage)]
		runs = runs[len(some):]
		err := j.view(func(tx *bbolt.Tx) error {
			for _, run := range some {
				h, ok, err := headOf(tx, run)
				if err != nil {
					return err
				}
				if ok && f.Match(&h) && len(list) < f.Limit {
					list = append(list, h)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

var errStop = errors.New("stop")

// each gives the rows of a bucket whose keys begin with prefix, from the key from on, until fn gives errStop.
func (b *bucket) each(tx *bbolt.Tx, prefix, from []byte, fn func(key, payload []byte) error) error {
	c := tx.Bucket(b.name).Cursor()
	var last []byte
	for k, v := c.Seek(from); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if last != nil && bytes.Compare(k, last) <= 0 {
			return &journal.DamageError{Damage: journal.Damage{Kind: "page", Detail: "the keys of " + string(b.name) + " are out of order"}}
		}
		last = k
		p, err := b.unseal(k, v)
		if err != nil {
			return b.damage(k, err.Error())
		}
		if err := fn(k, p); err == errStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
