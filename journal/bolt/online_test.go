package bolt

import (
	"bytes"
	"context"
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

// busyWork makes batches of every kind, one after the other, as an engine would.
type busyWork struct {
	rng  *rand.Rand
	next uint64
	n    int
	open []*busyRun
	done []*busyRun
}

type busyRun struct {
	id   string
	last journal.Record
}

func (w *busyWork) record(r *busyRun, body int) journal.Record {
	rec := journal.Record{Seq: w.next, Count: 1 + uint32(w.rng.IntN(3)), Run: w.next, N: 1, At: 1_790_000_000_000 + int64(w.next), Body: bytes.Repeat([]byte{byte(w.next)}, body)}
	if r.id != "" && r.last.Seq != 0 {
		rec.Run, rec.Prev, rec.N = r.last.Run, r.last.Seq, r.last.Last()+1
	}
	r.last, w.next = rec, rec.End()
	return rec
}

func (r *busyRun) head(state uint8) journal.Head {
	h := journal.Head{Run: r.last.Run, ID: r.id, Workflow: "w" + r.id[len(r.id)-1:], Version: 1, State: state, LastSeq: r.last.Seq, Events: r.last.Last(), CreatedAt: 1_790_000_000_000 + int64(r.last.Run)}
	if r.last.Run%3 > 0 {
		h.Tags = []string{fmt.Sprint("lot:", r.last.Run%5), fmt.Sprint("state:", state)} // one of them changes
	}
	if state != journal.OpenState {
		h.EndedAt, h.Digest = r.last.At, []byte("digest of "+r.id)
	}
	return h
}

func (w *busyWork) batch() *journal.Batch {
	b := &journal.Batch{}
	w.n++
	switch k := w.rng.IntN(10); {
	case k < 4 || len(w.open) == 0:
		r := &busyRun{id: fmt.Sprint("run-", w.n)}
		b.Records = []journal.Record{w.record(r, 50+w.rng.IntN(800))}
		b.Heads = []journal.Head{r.head(journal.OpenState)}
		w.open = append(w.open, r)
	case k < 7:
		r := w.open[w.rng.IntN(len(w.open))]
		b.Records = []journal.Record{w.record(r, w.rng.IntN(900))}
		b.Snapshots = []journal.Snapshot{{Run: r.last.Run, Seq: r.last.Seq, State: fmt.Appendf(nil, "state %d", w.n)}}
		b.Said = []journal.Said{{Run: r.last.Run, Step: "s", Attempt: 1, At: uint64(w.n), Text: []byte("said")}}
		b.Objects = []journal.Object{{Key: fmt.Sprint("o/", w.rng.IntN(300)), Version: uint64(w.n), Seq: r.last.Seq, State: fmt.Appendf(nil, "%d", w.n)}}
		b.Rows = []journal.Row{{Key: fmt.Sprint("row/", w.rng.IntN(30)), Value: fmt.Appendf(nil, "%d", w.n)}}
	case k < 9:
		at := w.rng.IntN(len(w.open))
		r := w.open[at]
		w.open = append(w.open[:at], w.open[at+1:]...)
		b.Records = []journal.Record{w.record(r, 10)}
		b.Heads = []journal.Head{r.head(uint8(1 + w.rng.IntN(3)))}
		b.Snapshots = []journal.Snapshot{{Run: r.last.Run}}
		b.Rows = []journal.Row{{Key: fmt.Sprint("row/", w.rng.IntN(30))}}
		w.done = append(w.done, r)
	default:
		entry := &busyRun{}
		rec := w.record(entry, 30)
		rec.Run, rec.N, rec.Prev = 0, 0, 0
		b.Records = []journal.Record{rec}
		for n := 0; len(w.done) > 0 && n < 6; n++ {
			at := w.rng.IntN(len(w.done))
			b.Purges = append(b.Purges, journal.Purge{Run: w.done[at].last.Run, Until: int64(w.n + w.rng.IntN(100)), Entry: rec.Seq})
			w.done = append(w.done[:at], w.done[at+1:]...)
		}
		b.Sweep = int64(w.n)
		rec = w.record(entry, 30)
		rec.Run, rec.N, rec.Prev = 0, 0, 0
		b.Records = append(b.Records, rec)
		b.Objects = []journal.Object{{Key: fmt.Sprint("o/", w.rng.IntN(300))}}
		body := fmt.Sprintf("body %d", w.n)
		b.Definitions = []journal.Definition{{Name: fmt.Sprint("w", w.n%10), Version: uint32(w.n), Digest: digestOf(body), Body: []byte(body), At: 5, Current: true}}
	}
	return b
}

// contents is every row of a file but its secret.
func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	all := map[string]string{}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				if string(name) != "meta" || string(k) != "secret" {
					all[string(name)+"/"+string(k)] = string(v)
				}
				return nil
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Two journals get the same batches; one of them is compacted again and again meanwhile. In the end they hold the same.
func TestAJournalAtWorkIsCompacted(t *testing.T) {
	dir := t.TempDir()
	paths := [2]string{filepath.Join(dir, "compacted.db"), filepath.Join(dir, "left alone.db")}
	js := [2]*Journal{open(t, paths[0]), open(t, paths[1])}
	if err := os.Chmod(paths[0], 0o600); err != nil {
		t.Fatal(err)
	}
	w := &busyWork{rng: rand.New(rand.NewPCG(1, 2)), next: 1}
	write := func() {
		b := w.batch()
		for _, j := range js {
			put(t, j, b)
		}
	}
	before, beside := 300, 500
	if testing.Short() { // under the race detector
		before, beside = 100, 150
	}
	for range before {
		write()
	}
	secret := bytes.Clone(js[0].Secret())
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { done <- n }()
		for {
			got, err := js[0].Compact(t.Context(), func(done, all int64) {
				if done > all {
					t.Errorf("%d of %d bytes are copied", done, all)
				}
			})
			if err != nil || got.After == 0 {
				t.Errorf("%+v, %v", got, err)
				return
			}
			n++
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range beside {
		write()
		if w.n%10 == 0 { // who reads meanwhile finds what was written
			if h, ok, err := js[0].Head(w.open[0].last.Run); !ok || err != nil || h.ID != w.open[0].id {
				t.Fatalf("%+v, %v, %v", h, ok, err)
			}
		}
	}
	close(stop)
	if n := <-done; n < 2 {
		t.Errorf("compacted %d times", n)
	}
	for range 50 {
		write()
	}
	clean(t, js[0])
	for _, j := range js {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, want := contents(t, paths[0]), contents(t, paths[1])
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("%q is %q, want %q", k, got[k], want[k])
		}
		delete(got, k)
	}
	for k := range got {
		t.Errorf("%q is there", k)
	}
	j := open(t, paths[0])
	if !bytes.Equal(j.Secret(), secret) {
		t.Error("the secret has changed")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*"+compactSuffix)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Nothing is begun without room, nor while another goes on; what ends one early leaves the journal as it was.
func TestACompactionThatIsNotFinishedChangesNothing(t *testing.T) {
	path := furnished(t)
	j := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := j.Compact(ctx, func(int64, int64) {
		if _, err := j.Compact(t.Context(), nil); !errors.Is(err, ErrCompacting) {
			t.Errorf("a second one: %v", err)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	put(t, j, &journal.Batch{Rows: []journal.Row{{Key: "later", Value: []byte("x")}}})
	if left, _ := filepath.Glob(path + ".*"); len(left) != 1 || !strings.HasSuffix(left[0], ".lock") {
		t.Errorf("left behind: %v", left)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Compact(t.Context(), nil); err == nil {
		t.Error("a closed one is compacted")
	}
	var room *NoRoomError
	if err := roomFor(path, 1<<60); !errors.As(err, &room) || !errors.Is(err, journal.ErrFull) {
		t.Errorf("without room: %v", err)
	}
}

func childBusy(path string) error {
	j, err := Open(path, Options{})
	if err != nil {
		return err
	}
	w := &busyWork{rng: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2)), next: j.NextSeq(), n: int(j.NextSeq())}
	go func() {
		for {
			if _, err := j.Compact(context.Background(), nil); err != nil {
				fmt.Println("child:", err)
				os.Exit(1)
			}
			fmt.Println("compacted")
		}
	}()
	for {
		if err := try(j, w.batch()); err != nil {
			return err
		}
		fmt.Println(w.next - 1)
	}
}

// A journal that is written and compacted all the time is killed at any moment: the old file or the new one is there, with all that
// was acknowledged.
func TestAKillWhileItIsCompactedLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes for half a minute; -short leaves it out")
	}
	path := filepath.Join(t.TempDir(), "agnt5.db")
	compacted := 0
	for range kills() {
		c := start(t, "busy", path)
		last := uint64(0)
		take := func(line string) {
			if line == "compacted" {
				compacted++
			} else if _, err := fmt.Sscan(line, &last); err != nil {
				t.Fatal(line)
			}
		}
		for range 20 + rand.IntN(100) {
			take(c.line(t))
		}
		_ = c.Process.Kill()
		for c.out.Scan() {
			if line := c.out.Text(); line == "compacted" || len(line) >= len(fmt.Sprint(last)) { // the last one may be cut off
				take(line)
			}
		}
		_ = c.Wait()
		j := open(t, path)
		if _, err := j.Get(last); err != nil && !errors.Is(err, journal.ErrNotFound) || j.NextSeq() <= last {
			t.Fatalf("acknowledged %d, the log ends before %d: %v", last, j.NextSeq(), err)
		}
		clean(t, j)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("killed %d times, compacted %d times", kills(), compacted)
	if compacted == 0 {
		t.Error("it was never compacted")
	}
}

// kills is how often; AGNT5_KILLS asks for more.
func kills() int {
	n := 12
	_, _ = fmt.Sscan(os.Getenv("AGNT5_KILLS"), &n)
	return n
}
