package bolt

import (
	"fmt"
	"os"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"go.etcd.io/bbolt"
)

// One flipped bit in the key of a row of an index, a head or an id takes at most its own run out of a list, however the list is read; every
// other run is in it once.
func TestADamagedKeyTakesNoOtherRunOutOfAList(t *testing.T) {
	const runs = 300
	path := filled(t, runs)
	filters := map[string]journal.HeadFilter{
		"all": {}, "workflow": {Workflow: "a"}, "open": {States: []uint8{journal.OpenState}}, "state": {States: []uint8{2}}, "states": {States: []uint8{journal.OpenState, 2}},
		"by end": {ByEnd: true}, "by end, workflow": {ByEnd: true, Workflow: "a"}, "by end, state": {ByEnd: true, States: []uint8{2}},
		"prefix": {IDPrefix: "r-00"}, "since": {Since: 1100}, "until": {Until: 1200},
	}
	list := func(j *Journal, f journal.HeadFilter) map[uint64]int {
		t.Helper()
		seen := map[uint64]int{}
		f.Limit = 7
		for range 2 * runs {
			p, err := j.Heads(f)
			if err != nil {
				t.Error(err)
				return seen
			}
			for _, h := range p.Heads {
				seen[h.Run]++
			}
			if f.After = p.Next; f.After == (journal.HeadMark{}) {
				return seen
			}
		}
		t.Error("a list without an end")
		return seen
	}
	j := open(t, path)
	want := map[string]map[uint64]int{}
	for name, f := range filters {
		want[name] = list(j, f)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range []*bucket{headBucket, idBucket, stateBucket, flowBucket, endBucket} {
		var keys [][]byte
		edit(t, path, func(tx *bbolt.Tx) error {
			return tx.Bucket(b.name).ForEach(func(k, _ []byte) error { keys = append(keys, append([]byte(nil), k...)); return nil })
		})
		for _, key := range [][]byte{keys[len(keys)/2+7]} {
			for _, at := range []int{0, len(key) - 8, len(key) - 1} {
				for _, bit := range []byte{0x80, 1} {
					if at < 0 {
						continue
					}
					file, keyAt, _, _ := rowAt(t, path, b, key)
					file[keyAt+at] ^= bit
					other := t.TempDir() + "/j.db"
					if err := os.WriteFile(other, file, 0o600); err != nil {
						t.Fatal(err)
					}
					j, err := OpenReadOnly(other)
					if err != nil {
						t.Fatal(err)
					}
					j.NameRuns(func(first journal.Record) journal.Head { // as an engine does, of which the bodies have more to say
						i := int(first.Seq) - 1
						return journal.Head{ID: fmt.Sprintf("r-%05d", i), Workflow: []string{"a", "b"}[i%2], State: 2}
					})
					for name, f := range filters {
						got, lost, twice := list(j, f), 0, 0
						for run := range want[name] {
							if got[run] == 0 {
								lost++
							} else if got[run] > 1 {
								twice++
							}
						}
						if lost > 1 || twice > 0 || len(got) > len(want[name])+1 {
							t.Errorf("%s, byte %d of %x, bit %#x: %s: %d lost, %d twice, %d more", b.name, at, key, bit, name, lost, twice, len(got)-len(want[name]))
						}
					}
					if err := j.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
