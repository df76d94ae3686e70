package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

func TestCreationLeavesOnePrivateFileInAPrivateDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "agnt5.db")
	j := open(t, path)
	for name, want := range map[string]os.FileMode{dir: 0o700, filepath.Dir(dir): 0o700, path: 0o600, path + ".lock": 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAnUnfinishedCreationIsBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agnt5.db")
	if err := os.WriteFile(path+newSuffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := open(t, path)
	tell(t, j).start("a")
	if _, err := os.Stat(path + newSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}

// sealed is a journal file with some runs, closed.
func sealed(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agnt5.db")
	j := open(t, path)
	s := tell(t, j)
	a, b := s.start("a"), s.start("b")
	for i := range 30 {
		s.step([]uint64{a, b}[i%2], fmt.Sprintf("step %d %s", i, strings.Repeat("x", 50)))
	}
	s.end(b, "b", journal.CompletedState)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// edit changes a closed journal behind its back.
func edit(t testing.TB, path string, fn func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(fn), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNotAJournalIsRefusedAndLeftAlone(t *testing.T) {
	whole, err := os.ReadFile(sealed(t))
	if err != nil {
		t.Fatal(err)
	}
	newer := sealed(t)
	edit(t, newer, func(tx *bbolt.Tx) error {
		v := binary.BigEndian.AppendUint32(append(make([]byte, 4), formatMagic...), journal.FormatVersion+1)
		metaBucket.seal(formatKey, v)
		return tx.Bucket(metaBucket.name).Put(formatKey, v)
	})
	newerBytes, err := os.ReadFile(newer)
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(t.TempDir(), "other.db")
	edit(t, foreign, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("users"))
		if err != nil {
			return err
		}
		return b.Put([]byte("a"), []byte("b"))
	})
	foreignBytes, err := os.ReadFile(foreign)
	if err != nil {
		t.Fatal(err)
	}
	m, err := checkPages(sealed(t), 0, true)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	damaged[4096+pageHeader+20] ^= 1 // in the second meta page

	for _, c := range []struct {
		name  string
		bytes []byte
		kind  error
		says  string
	}{
		{"a directory", nil, ErrNotJournal, "is a directory"},
		{"an empty file", []byte{}, ErrNotJournal, "is an empty file"},
		{"a text", []byte("dear diary\n"), ErrNotJournal, "is the file of another program"},
		{"a long text", []byte(strings.Repeat("dear diary\n", 9000)), ErrNotJournal, "is the file of another program"},
		{"the bbolt file of another program", foreignBytes, ErrNotJournal, "is the bbolt file of another program"},
		{"a truncated file", whole[:m.meta.high*4096-1], ErrNotJournal, "is truncated: "},
		{"a file cut in its first page", whole[:3000], ErrNotJournal, "is truncated"},
		{"a file of one page", whole[:4096], ErrNotJournal, "is truncated"},
		{"a newer format", newerBytes, ErrNewerFormat, "has format 1, this release reads up to 0"},
		{"a damaged meta page", damaged, ErrDamagedFile, "agnt5d doctor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agnt5.db")
			if c.bytes == nil {
				path = filepath.Dir(path)
			} else if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, try := range []func() (*Journal, error){
				func() (*Journal, error) { return Open(path, Options{}) },
				func() (*Journal, error) { return OpenReadOnly(path) },
			} {
				j, err := try()
				if err == nil {
					j.Close()
				}
				var file *FileError
				if !errors.Is(err, c.kind) || !errors.As(err, &file) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v", err)
				}
			}
			if c.bytes == nil {
				return
			}
			after, err := os.ReadFile(path)
			if err != nil || sha256.Sum256(after) != sha256.Sum256(c.bytes) {
				t.Errorf("the file was changed")
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestReadingChangesNothing(t *testing.T) {
	path := sealed(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	j, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	var c counting
	if err := j.Recover(&c); err != nil || c.records != 33 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := try(j, &journal.Batch{}); err == nil {
		t.Error("a batch was taken")
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(path)
	if err != nil || string(before) != string(after) {
		t.Errorf("the file was changed: %v", err)
	}
}

func childHold(path string) error {
	j, err := Open(path, Options{})
	if err != nil {
		return err
	}
	fmt.Println("holds")
	waitForStdin()
	return j.Close()
}

func childRead(path string) error {
	j, err := OpenReadOnly(path)
	if err != nil {
		return err
	}
	fmt.Println("reads")
	waitForStdin()
	return j.Close()
}

func TestASecondProcessIsToldWhoHasTheFile(t *testing.T) {
	for _, how := range []string{"hold", "read"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			path := sealed(t)
			other := start(t, how, path)
			other.line(t)
			begun := time.Now()
			j, err := Open(path, Options{})
			if err == nil {
				j.Close()
				t.Fatal("both have it")
			}
			var locked *LockedError
			if !errors.As(err, &locked) || !errors.Is(err, ErrLocked) || locked.Holder != other.Process.Pid {
				t.Errorf("got %v, the holder is %d", err, other.Process.Pid)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if how == "hold" {
				if _, err := OpenReadOnly(path); !errors.As(err, &locked) || locked.Holder != other.Process.Pid {
					t.Errorf("a reader got %v", err)
				}
				link := filepath.Join(t.TempDir(), "link.db")
				if err := os.Link(path, link); err != nil {
					t.Fatal(err)
				}
				if _, err := Open(link, Options{LockTimeout: 100 * time.Millisecond}); !errors.As(err, &locked) || locked.Holder != other.Process.Pid {
					t.Errorf("by another name: %v", err)
				}
			}
			other.kill()
			open(t, path) // its end lets go of the file
		})
	}
}

func TestOneProcessCannotOpenTwice(t *testing.T) {
	path := sealed(t)
	open(t, path)
	if _, err := Open(path, Options{LockTimeout: time.Millisecond}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("got %v", err)
	}
}

func childCreate(path string) error {
	fmt.Println("begins")
	j, err := Open(path, Options{})
	if err != nil {
		return err
	}
	return j.Close()
}

func TestAKilledCreationLeavesNothingOrAWholeJournal(t *testing.T) {
	dir := t.TempDir()
	for i := range 25 {
		path := filepath.Join(dir, fmt.Sprint(i), "agnt5.db")
		c := start(t, "create", path)
		c.line(t)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the moment of the kill, not a wait for something
		c.kill()
		if _, err := os.Stat(path); err == nil {
			r, err := OpenReadOnly(path)
			if err != nil {
				t.Fatalf("half a journal: %v", err)
			}
			r.Close()
		}
		j := open(t, path)
		tell(t, j).start("a")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func childLoad(path string) error {
	j, err := Open(path, Options{})
	if err != nil {
		return err
	}
	next := j.NextSeq()
	for i := 0; ; i++ {
		seq := next
		next++
		j.Append(&journal.Batch{Records: []journal.Record{{Seq: seq, Count: 1, Run: seq, N: 1, Body: make([]byte, i%700)}},
			Heads: []journal.Head{{Run: seq, ID: fmt.Sprint(seq), Workflow: "w", LastSeq: seq, Events: 1}}}, func(err error) {
			if err != nil {
				fmt.Println("child:", err)
				os.Exit(1)
			}
			fmt.Println(seq)
		})
		if i%64 == 63 { // let the queue run empty now and then
			if err := try(j, &journal.Batch{}); err != nil {
				return err
			}
		}
	}
}

func TestNothingAcknowledgedIsLostByAKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agnt5.db")
	for range 8 {
		c := start(t, "load", path)
		var last uint64
		for range 50 + rand.IntN(2000) {
			if _, err := fmt.Sscan(c.line(t), &last); err != nil {
				t.Fatal(err)
			}
		}
		_ = c.Process.Kill()
		for c.out.Scan() {
			_, _ = fmt.Sscan(c.out.Text(), &last)
		}
		_ = c.Wait()
		j := open(t, path)
		if _, err := j.Get(last); err != nil || j.NextSeq() <= last {
			t.Fatalf("acknowledged %d, the log ends before %d: %v", last, j.NextSeq(), err)
		}
		clean(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
