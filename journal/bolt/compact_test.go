package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

func TestCompactionKeepsEverythingButFreePages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agnt5.db")
	j := open(t, path)
	s := tell(t, j)
	for i := range 40 {
		id := fmt.Sprint("r", i)
		run := s.start(id)
		put(t, j, &journal.Batch{Records: []journal.Record{s.record(run, 1, string(make([]byte, 20_000)))}})
		s.end(run, id, journal.CompletedState)
		if i%4 != 0 {
			put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: run}}})
		}
	}
	secret := j.Secret()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want := everything(t, path)
	if err := os.WriteFile(path+compactSuffix, []byte("half of another one"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, after, err := Compact(path, nil)
	if err != nil || after >= before || after != fileSize(path) {
		t.Fatalf("from %d to %d bytes, %v", before, after, err)
	}
	if got := everything(t, path); !reflect.DeepEqual(got, want) {
		t.Error("something has changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	j = open(t, path)
	clean(t, j)
	if !bytes.Equal(j.Secret(), secret) {
		t.Error("the secret has changed")
	}
	tell(t, j).start("goes on")
	if _, _, err := Compact(path, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("while an engine has it: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestADamagedJournalIsNotCompacted(t *testing.T) {
	path := sealed(t)
	edit(t, path, func(tx *bbolt.Tx) error {
		v := bytes.Clone(tx.Bucket(logBucket.name).Get(seqKey(9)))
		v[8] ^= 1
		return tx.Bucket(logBucket.name).Put(seqKey(9), v)
	})
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var damage *journal.DamageError
	if _, _, err := Compact(path, nil); !errors.As(err, &damage) || damage.Seq != 9 {
		t.Errorf("got %v", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestABackupTakenAtWorkIsAWholeJournal(t *testing.T) {
	j := fresh(t)
	s := tell(t, j)
	run := s.start("a")
	for range 20 {
		s.step(run, "before")
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	upto := j.NextSeq()
	if _, err := j.Backup(f); err != nil {
		t.Fatal(err)
	}
	s.step(run, "after")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	b := open(t, path)
	clean(t, b)
	if b.NextSeq() != upto {
		t.Errorf("the backup ends at %d, want %d", b.NextSeq(), upto)
	}
}

func childCompact(path string) error {
	fmt.Println("begins")
	_, _, err := Compact(path, nil)
	return err
}

func TestAKilledCompactionLeavesTheOldFileOrTheNew(t *testing.T) {
	path := furnished(t)
	want := everything(t, path)
	for range 25 {
		c := start(t, "compact", path)
		c.line(t)
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond) // the moment of the kill, not a wait for something
		c.kill()
		if got := everything(t, path); !reflect.DeepEqual(got, want) {
			t.Fatal("something has changed")
		}
	}
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
