package bolt

import (
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/journaltest"
)

// fill takes all space from an open journal; nil where a test cannot do that.
var fill func(*testing.T, journal.Log) func()

func TestConformance(t *testing.T) {
	path := func(dir string) string { return filepath.Join(dir, "agnt5.db") }
	journaltest.Run(t, func(t *testing.T, dir string, shard journal.Shard) journal.Log {
		j, err := Open(path(dir), Options{Shard: shard})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}, journaltest.Faults{
		Damage: func(t *testing.T, dir string, seq uint64) {
			db, err := bbolt.Open(path(dir), 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.Update(func(tx *bbolt.Tx) error {
				b := tx.Bucket(logBucket.name)
				v := append([]byte(nil), b.Get(seqKey(seq))...)
				v[len(v)-1] ^= 1
				return b.Put(seqKey(seq), v)
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		Fill: fill,
	})
}
