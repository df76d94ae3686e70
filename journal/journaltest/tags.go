package journaltest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/journal"
)

// tagsAt are the tags of a run of lists, before and after its end.
func tagsAt(i int, ended bool) []string {
	tags := []string{fmt.Sprintf("lot:%d", i%4)}
	if i%3 > 0 {
		tags = append(tags, "team:data")
	}
	if i%7 == 3 {
		return nil
	}
	return append([]string{map[bool]string{false: "ended:no", true: "ended:yes"}[ended]}, tags...)
}

// tagged looks at the tags of a head as they change, and goes with its run.
func tagged(b *bench) {
	var runs []uint64
	for i := range 3 {
		r := b.record(0, 1, "start")
		h := b.head(r.Run, fmt.Sprint("t", i), "order", journal.OpenState)
		h.Tags = []string{"a:1", "b:" + strings.Repeat("ü", 128)}
		b.put(&journal.Batch{Records: []journal.Record{r}, Heads: []journal.Head{h}})
		runs = append(runs, r.Run)
	}
	look := func(want map[string]string) {
		b.Helper()
		for tag, ids := range want {
			p, err := b.log.Heads(journal.HeadFilter{Tags: []string{tag}})
			var got []string
			for _, h := range p.Heads {
				got = append(got, h.ID)
			}
			if strings.Join(got, " ") != ids || err != nil {
				b.Errorf("runs with %.20s: %v, %v, want %s", tag, got, err, ids)
			}
		}
	}
	long := "b:" + strings.Repeat("ü", 128)
	look(map[string]string{"a:1": "t2 t1 t0", long: "t2 t1 t0", "c:": ""})
	h := b.headOf(runs[1])
	h.Tags = []string{"a:2", "c:"}
	first := h
	first.Tags = []string{"a:1", "d:"} // in the same batch, the last one counts
	b.put(&journal.Batch{Heads: []journal.Head{first, h}})
	look(map[string]string{"a:1": "t2 t0", "a:2": "t1", long: "t2 t0", "c:": "t1", "d:": ""})
	end := b.headOf(runs[2])
	end.State, end.EndedAt, end.Tags = journal.CompletedState, end.CreatedAt+1, nil
	b.put(&journal.Batch{Heads: []journal.Head{end}})
	gone := b.headOf(runs[0])
	gone.State, gone.EndedAt = 2, gone.CreatedAt+2
	b.put(&journal.Batch{Heads: []journal.Head{gone}})
	look(map[string]string{"a:1": "t0", long: "t0"})
	b.put(&journal.Batch{Purges: []journal.Purge{{Run: runs[0], Until: 1 << 40}}})
	b.reopen()
	look(map[string]string{"a:1": "", "a:2": "t1", long: "", "c:": "t1"})
	if got := b.headOf(runs[1]).Tags; !slices.Equal(got, []string{"a:2", "c:"}) {
		b.Errorf("tags %q", got)
	}
	for _, bad := range [][]string{{""}, {"b:", "a:"}, {"a:", "a:"}} {
		h := b.headOf(runs[1])
		h.Tags = bad
		if err := b.try(&journal.Batch{Heads: []journal.Head{h}}); err == nil {
			b.Errorf("a head with the tags %q was taken", bad)
		}
	}
}
