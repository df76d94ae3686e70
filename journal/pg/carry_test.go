package pg

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
)

// stuff appends to a new journal all that one can have: runs that are open, have ended or were purged, at the beginning, in the middle and at
// the end of the log, and everything that stands beside them.
func stuff(t *testing.T, j journal.Log) {
	t.Helper()
	n := j.NextSeq()
	put := func(b *journal.Batch) {
		t.Helper()
		done := make(chan error, 1)
		j.Append(b, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	runOf := func(id string, ended int64) uint64 {
		t.Helper()
		run := n
		h := journal.Head{Run: run, ID: id, Workflow: "w", Version: 2, LastSeq: run + 3, Events: 5, CreatedAt: 1000 + int64(run%1000), EndedAt: ended, Tags: []string{"of " + id, "é"}}
		if ended != 0 {
			h.State, h.Digest, h.Failed, h.Skipped = 2, []byte{1, 2, 3}, "no such customer", 1
		}
		put(&journal.Batch{Heads: []journal.Head{h}, Records: []journal.Record{{Seq: run, Count: 3, Run: run, N: 1, At: 5, Body: []byte("begin " + id)},
			{Seq: run + 3, Count: 2, Run: run, Prev: run, N: 4, At: 6}},
			Said: []journal.Said{{Run: run, Step: "a", Attempt: 1, At: 0, Text: []byte("said of " + id)}, {Run: run, Step: "long name", Attempt: 2, At: 7, Text: []byte("more")}}})
		n += 5
		return run
	}
	first, kept := runOf("first", 2000), runOf("kept", 2001)
	middle := runOf("middle", 1999)
	open := runOf("open", 0)
	again := runOf("again", 2002)
	body := []byte(`{"steps":[]}`)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(body))
	put(&journal.Batch{
		Definitions: []journal.Definition{{Name: "w", Version: 1, Digest: digest, Body: body, At: 1}, {Name: "w", Version: 2, Digest: digest, At: 2, Current: true}, {Name: "x", Version: 1, Digest: digest, At: 3, Current: true}},
		Objects:     []journal.Object{{Key: "customer/1", Version: 3, Fence: 2, Seq: kept, State: []byte(`7`)}, {Key: "é", Version: 1, Seq: open, State: []byte{}}},
		Rows:        []journal.Row{{Key: "schedule/a", Value: []byte("v")}, {Key: "token/b", Value: []byte{0, 255}}},
		Snapshots:   []journal.Snapshot{{Run: open, Seq: open + 3, State: []byte("state")}},
		Base:        n - 1,
	})
	put(&journal.Batch{Records: []journal.Record{{Seq: n, Count: 1, At: 7, Body: []byte("purged")}}, Definitions: []journal.Definition{{Name: "w", Version: 1, At: 4}, {Name: "x", Version: 1, At: 4}},
		Purges: []journal.Purge{{Run: first, Until: 9000, Entry: n}, {Run: middle}, {Run: again, Until: 9001, Entry: n}}})
	n++
	runOf("again", 0)
	last := runOf("last", 2003)
	put(&journal.Batch{Purges: []journal.Purge{{Run: last, Until: 9002}}, Clean: true})
}

// everything sees that a journal with all that one can have gives something of each kind. A kind that is new is to be carried, too: by
// journal.Carry, journal.Tally, stuff and both Imports.
func everything(t *testing.T, j journal.Source) {
	t.Helper()
	seen := map[string]bool{"Purges": true} // what is left of these is carried as Left
	if err := journal.Carry(t.Context(), j, nil, func(p *journal.Part) error {
		for v, i := reflect.ValueOf(p.Batch), 0; i < v.NumField(); i++ {
			if f := v.Field(i); f.Kind() != reflect.Slice || f.Len() > 0 {
				seen[v.Type().Field(i).Name] = true
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for b, i := reflect.TypeFor[journal.Batch](), 0; i < b.NumField(); i++ {
		if name := b.Field(i).Name; !seen[name] {
			t.Errorf("of %s nothing is carried", name)
		}
	}
}

func tally(t *testing.T, j journal.Source) *journal.Tally {
	t.Helper()
	var sum journal.Tally
	if err := journal.Carry(t.Context(), j, nil, func(p *journal.Part) error { sum.Add(p); return nil }); err != nil {
		t.Fatal(err)
	}
	return &sum
}

func filling(t *testing.T, from journal.Source) func(func(*journal.Part) error) error {
	return func(put func(*journal.Part) error) error { return journal.Carry(t.Context(), from, nil, put) }
}

// A journal goes from a file to a database and back, and is the same in each: rows, lists, what is swept later, and where the log goes on.
func TestAJournalIsCarriedThereAndBack(t *testing.T) {
	for _, shard := range []journal.Shard{0, 3} {
		t.Run(fmt.Sprint(shard), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.db")
			made, err := bolt.Open(path, bolt.Options{Shard: shard})
			if err != nil {
				t.Fatal(err)
			}
			stuff(t, made)
			if err := made.Close(); err != nil {
				t.Fatal(err)
			}
			file, err := bolt.OpenReadOnly(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			want := tally(t, file)
			everything(t, file)
			o := scratch(t, t.Name())
			o.Shard = shard
			if err := Import(t.Context(), o, filling(t, file), nil); err != nil {
				t.Fatal(err)
			}
			if err := Import(t.Context(), o, filling(t, file), nil); !errors.Is(err, ErrExists) {
				t.Errorf("a second time: %v", err)
			}
			moment, err := OpenMoment(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if err := want.Check(t.Context(), moment, nil); err != nil {
				t.Errorf("the database: %v", err)
			}
			back := filepath.Join(t.TempDir(), "b.db")
			err = bolt.Import(t.Context(), back, shard, filling(t, moment), nil)
			if err := errors.Join(err, moment.Close()); err != nil {
				t.Fatal(err)
			}
			other, err := bolt.Open(back, bolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if err := want.Check(t.Context(), other, nil); err != nil {
				t.Errorf("the file: %v", err)
			}
			table := open(t, o)
			defer table.Close()
			for _, j := range []journal.Source{other, table} {
				goesOn(t, j, file)
			}
		})
	}
}

// goesOn looks at what was made of a journal as a daemon does that works on it.
func goesOn(t *testing.T, j journal.Source, was *bolt.Journal) {
	t.Helper()
	if string(j.Secret()) == string(was.Secret()) {
		t.Error("the secret was carried")
	}
	for _, f := range []journal.HeadFilter{{}, {ByEnd: true}, {States: []uint8{2}}, {Workflow: "w", EndedSince: 1}, {Tags: []string{"of kept"}}} {
		want, err1 := was.Heads(f)
		got, err2 := j.Heads(f)
		if err := errors.Join(err1, err2); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("list %+v: %v\n%v, want\n%v", f, err, got, want)
		}
	}
	next := j.NextSeq()
	if next != was.NextSeq() {
		t.Errorf("the log goes on at %d, want %d", next, was.NextSeq())
	}
	done := make(chan error, 1)
	j.Append(&journal.Batch{Records: []journal.Record{{Seq: next, Count: 1, At: 8}}, Sweep: 9002}, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for id, kept := range map[string]bool{"first": false, "last": true, "again": true, "open": true} {
		if _, _, ok, err := j.Lookup(id); ok != kept || err != nil {
			t.Errorf("after the sweep: id %s is kept: %v, %v", id, ok, err)
		}
	}
	if _, err := j.Verify(t.Context(), func(d journal.Damage) { t.Errorf("damage: %+v", d) }); err != nil {
		t.Error(err)
	}
}

// What is cut off in the middle, or does not arrive as it was sent, leaves nothing behind.
func TestHalfAnImportIsNothing(t *testing.T) {
	o := scratch(t, t.Name())
	from := open(t, o)
	stuff(t, from)
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	source, err := OpenReadOnly(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	cut := errors.New("cut")
	for name, change := range map[string]func(*journal.Part) error{
		"cut":    func(p *journal.Part) error { return map[bool]error{true: cut}[len(p.Objects) > 0] },
		"a head": func(p *journal.Part) error { p.Heads = p.Heads[min(len(p.Heads), 1):]; return nil },
	} {
		fill := func(put func(*journal.Part) error) error {
			return journal.Carry(t.Context(), source, nil, func(p *journal.Part) error { return errors.Join(change(p), put(p)) })
		}
		to := scratch(t, t.Name()+name)
		if err := Import(t.Context(), to, fill, nil); err == nil {
			t.Errorf("%s: a database was made", name)
		}
		if _, err := OpenReadOnly(t.Context(), to); !errors.Is(err, ErrNoJournal) {
			t.Errorf("%s: in the database there is: %v", name, err)
		}
		path := filepath.Join(t.TempDir(), "x.db")
		if err := bolt.Import(t.Context(), path, 0, fill, nil); err == nil {
			t.Errorf("%s: a file was made", name)
		}
		if left, _ := filepath.Glob(path + "*"); len(left) > 0 && left[0] == path {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	to := scratch(t, t.Name()+"cancelled")
	err = Import(ctx, to, func(put func(*journal.Part) error) error {
		return journal.Carry(ctx, source, nil, func(p *journal.Part) error {
			if len(p.Objects) > 0 {
				cancel()
			}
			return put(p)
		})
	}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := OpenReadOnly(t.Context(), to); !errors.Is(err, ErrNoJournal) {
		t.Errorf("cancelled: in the database there is: %v", err)
	}
}
