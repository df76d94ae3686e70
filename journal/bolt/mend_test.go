package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// A damaged key hides no row behind it, wherever the reading of a large bucket is cut into transactions: a check names it alone, and a
// repaired journal has all others.
func TestADamagedKeyHidesNoRowOfALargeBucket(t *testing.T) {
	const rows = 2*pageRecords + 100
	key := func(i int) []byte { return fmt.Appendf(nil, "acct/%06d", i) }
	for _, at := range []int{1, pageRecords, 2 * pageRecords} {
		for _, bit := range []byte{0x80, 0x01} {
			path := sealed(t)
			edit(t, path, func(tx *bbolt.Tx) error {
				in := tx.Bucket(objectBucket.name)
				for i := range rows {
					v := appendObject(make([]byte, 4), &journal.Object{Version: 1, Seq: 1, State: []byte("{}")})
					objectBucket.seal(key(i), v)
					if err := in.Put(key(i), v); err != nil {
						return err
					}
				}
				return nil
			})
			flipKey(t, path, objectBucket, key(at), bit)
			j, err := OpenReadOnly(path)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			if err := j.rows(objectBucket, func(*bbolt.Tx, []byte, []byte) { seen++ }, nil); err != nil || seen != rows-1 {
				t.Errorf("row %d, bit %#x: %d rows are found, %v", at, bit, seen, err)
			}
			list, err := j.Objects("acct/", "", rows)
			if whole := len(list); err != nil || whole < rows-1 {
				t.Errorf("row %d, bit %#x: %d rows are listed, %v", at, bit, whole, err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// flipKey flips bits of the first byte of a key, on the disk.
func flipKey(t *testing.T, path string, b *bucket, key []byte, bits byte) {
	t.Helper()
	file, keyAt, _, _ := rowAt(t, path, b, key)
	file[keyAt] ^= bits
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The rows without which no journal opens are made up for in a copy, which has what the journal had; the end of the log is behind all that
// the file tells of, also where its last records are lost.
func TestMendFindsTheEndOfTheLog(t *testing.T) {
	path := sealed(t)
	j, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	want := j.NextSeq()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	edit(t, path, func(tx *bbolt.Tx) error {
		c := tx.Bucket(logBucket.name).Cursor()
		k, _ := c.Last()
		return errors.Join(tx.Bucket(metaBucket.name).Delete(tailKey), tx.Bucket(logBucket.name).Delete(append([]byte(nil), k...)))
	})
	if _, err := OpenReadOnly(path); !errors.Is(err, ErrStartRows) || !errors.Is(err, ErrDamagedFile) {
		t.Fatalf("got %v", err)
	}
	temp := filepath.Join(t.TempDir(), "mended.db")
	made, err := Mend(path, temp)
	if err != nil || !made.Renewed || len(made.Damages) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	if j, err = OpenReadOnly(temp); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if j.NextSeq() != want {
		t.Errorf("the log ends at %d, want %d", j.NextSeq(), want)
	}
}
