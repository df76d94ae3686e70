package sim

import (
	"slices"
	"strings"
	"testing"

	core "github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/journaltest"
)

// The simulated disk keeps to the rules of any journal, or what the simulator proves would be about something else.
func TestTheDiskIsAJournal(t *testing.T) {
	disks, owners := map[string]*Disk{}, map[*Disk]*log{}
	journaltest.Run(t, func(_ *testing.T, dir string, shard journal.Shard) journal.Log {
		if disks[dir] == nil {
			disks[dir] = NewDisk(shard)
		}
		if had := owners[disks[dir]]; had != nil {
			close(had.broken)
		}
		l := &log{Disk: disks[dir], broken: make(chan struct{})}
		owners[l.Disk] = l
		return l
	}, journaltest.Faults{Takeover: true})
}

// log commits each batch at once, and reads the few things that the shard never asks for. The next one that opens its disk takes it
// over.
type log struct {
	*Disk
	closed bool
	broken chan struct{}
}

func (l *log) Append(b *journal.Batch, done func(error)) {
	if err := l.Err(); err != nil {
		done(err)
		return
	}
	if l.closed {
		done(journal.ErrClosed)
		return
	}
	if err := b.Check(l.NextSeq()); err != nil {
		done(err)
		return
	}
	l.Disk.Append(&core.Batch{Batch: b})
	l.Commit(1)
	done(nil)
}

func (l *log) Probe() error { return nil }

func (l *log) Stats() journal.Stats {
	return journal.Stats{NextSeq: l.NextSeq(), Records: uint64(len(l.records))}
}

func (l *log) Created() bool { return false }

func (l *log) States() (map[uint8]int, error) {
	counts := map[uint8]int{}
	for _, h := range l.heads {
		counts[h.State]++
	}
	return counts, nil
}

func (l *log) Runs(limit int) (int, error) { return min(len(l.heads), limit), nil }

func (l *log) Broken() <-chan struct{} { return l.broken }

func (l *log) Err() error {
	select {
	case <-l.broken:
		return journal.ErrFenced
	default:
		return nil
	}
}

func (l *log) Close() error { l.closed = true; return nil }

func (l *log) GetMany(seqs []uint64, fn func(int, journal.Record) error) error {
	for i, s := range seqs {
		r, err := l.Get(s)
		if err != nil {
			return err
		}
		if err := fn(i, r); err != nil {
			return err
		}
	}
	return nil
}

func (l *log) Heads(f journal.HeadFilter) (journal.HeadPage, error) {
	var out []journal.Head
	for _, h := range l.heads {
		if f.Match(&h) && (f.After == (journal.HeadMark{}) || f.After.Before(f.Mark(&h))) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, func(a, b journal.Head) int {
		if f.Mark(&a).Before(f.Mark(&b)) {
			return -1
		}
		return 1
	})
	if f.Limit == 0 {
		f.Limit = 100
	}
	if len(out) <= f.Limit {
		return journal.HeadPage{Heads: out}, nil
	}
	return journal.HeadPage{Heads: out[:f.Limit], Next: f.Mark(&out[f.Limit-1])}, nil
}

func (l *log) Objects(prefix, after string, limit int) ([]journal.Object, error) {
	var out []journal.Object
	for k, o := range l.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b journal.Object) int { return strings.Compare(a.Key, b.Key) })
	if limit > 0 {
		out = out[:min(len(out), limit)]
	}
	return out, nil
}

func (l *log) Row(key string) ([]byte, bool, error) {
	v, ok := l.rows[key]
	return v, ok, nil
}

func (l *log) Rows(prefix string) ([]journal.Row, error) {
	var out []journal.Row
	for k, v := range l.rows {
		if strings.HasPrefix(k, prefix) {
			out = append(out, journal.Row{Key: k, Value: v})
		}
	}
	slices.SortFunc(out, func(a, b journal.Row) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}
