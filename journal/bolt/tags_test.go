package bolt

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// tagged is a closed journal of some runs, every third of which has the tag team:data, every hundredth rare:yes; half have ended.
func tagged(t *testing.T, runs int) string {
	t.Helper()
	path := t.TempDir() + "/j.db"
	j := open(t, path)
	b := &journal.Batch{}
	for i := range runs {
		run := uint64(i + 1)
		b.Records = append(b.Records, journal.Record{Seq: run, Count: 1, Run: run, N: 1, At: int64(1000 + i)})
		h := journal.Head{Run: run, ID: fmt.Sprintf("r-%05d", i), Workflow: "w", State: uint8(i % 2), LastSeq: run, Events: 1, CreatedAt: int64(1000 + i)}
		if h.State != journal.OpenState {
			h.EndedAt = int64(100_000 - i)
		}
		if i%100 == 0 {
			h.Tags = append(h.Tags, "rare:yes")
		}
		if i%3 == 0 {
			h.Tags = append(h.Tags, "team:data")
		}
		b.Heads = append(b.Heads, h)
	}
	put(t, j, b)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// byTag gives how many runs a list by tags has, and whether all of it was seen, having looked at no more rows than that.
func byTag(t *testing.T, j *Journal, look int, byEnd bool, tags ...string) (int, bool) {
	t.Helper()
	p, err := j.Heads(journal.HeadFilter{Tags: tags, ByEnd: byEnd, Limit: 1 << 20, Look: look})
	if err != nil {
		t.Fatal(err)
	}
	return len(p.Heads), p.Next == (journal.HeadMark{})
}

// A list by tags looks at the rows of the tag that the fewest runs have, and at no others.
func TestAListByTagLooksAtFewRows(t *testing.T) {
	j := open(t, tagged(t, 3000))
	for _, c := range []struct {
		tags  []string
		byEnd bool
		look  int
		want  int
	}{
		{[]string{"rare:yes"}, false, 31, 30}, {[]string{"team:data", "rare:yes"}, false, 31, 10}, {[]string{"rare:yes", "team:data"}, false, 31, 10},
		{[]string{"team:data"}, true, 501, 500}, {[]string{"team:nobody"}, false, 1, 0}, {[]string{"team:dat"}, false, 1, 0},
	} {
		if got, all := byTag(t, j, c.look, c.byEnd, c.tags...); got != c.want || !all {
			t.Errorf("%v by end %v: %d runs, all: %v; want %d of %d rows", c.tags, c.byEnd, got, all, c.want, c.look)
		}
	}
}

func tagRows(t *testing.T, path string) (keys [][]byte) {
	t.Helper()
	edit(t, path, func(tx *bbolt.Tx) error {
		return tx.Bucket(tagBucket.name).ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
	})
	return keys
}

// A file of an older release has no index by tag, or one that is behind. It is made when the file is opened; until then every head is read.
func TestTheIndexByTagIsMadeWhereItIsMissingOrBehind(t *testing.T) {
	whole := tagged(t, 300)
	keys := tagRows(t, whole)
	for name, change := range map[string]func(tx *bbolt.Tx) error{
		"missing": func(tx *bbolt.Tx) error {
			return errorsOf(tx.DeleteBucket(tagBucket.name), tx.Bucket(metaBucket.name).Delete(timesKey))
		},
		"behind": func(tx *bbolt.Tx) error {
			w := writer{tx: tx}
			return errorsOf(tx.Bucket(tagBucket.name).Delete(keys[3]), w.row(tagBucket, append(bytes.Clone(keys[0][:len(keys[0])-1]), 99), nil), w.row(metaBucket, timesKey, (&times{next: 1}).append(nil)))
		},
	} {
		path := copied(t, whole)
		edit(t, path, change)
		if name == "missing" {
			old, err := OpenReadOnly(path)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := byTag(t, old, 0, false, "team:data"); n != 100 {
				t.Errorf("read-only: %d runs", n)
			}
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
		}
		j := open(t, path)
		if n, _ := byTag(t, j, 0, false, "team:data"); n != 100 {
			t.Errorf("%s: %d runs", name, n)
		}
		clean(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if got := tagRows(t, path); !slices.EqualFunc(got, keys, bytes.Equal) {
			t.Errorf("%s: %d rows, want %d", name, len(got), len(keys))
		}
	}
}

// Damage to a row of the index is found, and no list suffers from it but by that run.
func TestDamageToTheIndexByTagIsLocal(t *testing.T) {
	whole := tagged(t, 12)
	for _, key := range tagRows(t, whole) {
		path := copied(t, whole)
		edit(t, path, func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(tagBucket.name).Get(key))
			v[1] ^= 4
			return tx.Bucket(tagBucket.name).Put(key, v)
		})
		if found := verified(t, path); count(found, "index") == 0 {
			t.Errorf("a flipped bit in %q: found %+v", key, found)
		}
		j := open(t, path)
		for _, byEnd := range []bool{false, true} {
			if n, _ := byTag(t, j, 0, byEnd, "team:data"); n != 4 && !byEnd || n != 2 && byEnd {
				t.Errorf("a flipped bit in %q: %d runs by end %v", key, n, byEnd)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		path = copied(t, whole)
		edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(tagBucket.name).Delete(key) })
		if found := verified(t, path); count(found, "head") == 0 {
			t.Errorf("%q was deleted: found %+v", key, found)
		}
	}
}

// A head that is damaged is replaced by the next one, and its run is found by the tags of that alone. Deleted, it leaves no row behind.
func TestTagsOfADamagedHead(t *testing.T) {
	path := tagged(t, 12)
	edit(t, path, func(tx *bbolt.Tx) error {
		for _, run := range []uint64{1, 4} {
			v := bytes.Clone(tx.Bucket(headBucket.name).Get(seqKey(run)))
			v[6] ^= 4
			if err := tx.Bucket(headBucket.name).Put(seqKey(run), v); err != nil {
				return err
			}
		}
		return nil
	})
	j := open(t, path)
	put(t, j, &journal.Batch{Heads: []journal.Head{{Run: 1, ID: "r-00000", Workflow: "w", LastSeq: 1, Events: 1, CreatedAt: 1000, Tags: []string{"team:ops"}}}})
	put(t, j, &journal.Batch{Purges: []journal.Purge{{Run: 4}}})
	for tag, want := range map[string]int{"team:data": 2, "rare:yes": 0, "team:ops": 1} {
		if n, _ := byTag(t, j, 0, false, tag); n != want {
			t.Errorf("%s: %d runs, want %d", tag, n, want)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range verified(t, path) {
		if strings.Contains(d.Detail, "tag") {
			t.Errorf("%+v", d)
		}
	}
}
