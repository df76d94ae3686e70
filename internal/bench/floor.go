package bench

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// Floor is what the disk and bbolt do without an engine.
type Floor struct {
	CommitMS      float64 `json:"commit_ms"`       // median of one put of 150 bytes and its commit
	PutsPerSecond float64 `json:"puts_per_second"` // of 150 bytes, keys in order, 1,000 in a commit
}

// floor measures on a file in dir, for about a second, less when the workload runs for less than two.
func (o *Options) floor(dir string) (f Floor, err error) {
	each := time.Duration(min(max(o.Seconds/4, 0.05), 0.5) * float64(time.Second))
	path := filepath.Join(dir, "floor.bolt")
	_ = os.Remove(path) // of a run that was cut off
	defer os.Remove(path)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{InitialMmapSize: 1 << 30})
	if err != nil {
		return f, err
	}
	defer db.Close()
	bucket := []byte("b")
	if err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err }); err != nil {
		return f, err
	}
	value := make([]byte, 150)
	var key uint64
	put := func(n int) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucket)
			b.FillPercent = 1
			for range n {
				key++
				if err := b.Put(binary.BigEndian.AppendUint64(nil, key), value); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var commits []time.Duration
	for began := time.Now(); time.Since(began) < each; {
		at := time.Now()
		if err := put(1); err != nil {
			return f, err
		}
		commits = append(commits, time.Since(at))
	}
	f.CommitMS = percentile(commits, 0.5)
	began, n := time.Now(), 0
	for ; time.Since(began) < each; n += 1000 {
		if err := put(1000); err != nil {
			return f, err
		}
	}
	f.PutsPerSecond = float64(n) / time.Since(began).Seconds()
	return f, nil
}
