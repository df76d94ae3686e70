package pg

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// A schema of an older release has no table of tags: it is read as it is, and the table is made when a node takes the journal.
func TestTheTableOfTagsIsMadeWhereItIsMissing(t *testing.T) {
	o := scratch(t, t.TempDir())
	j := open(t, o)
	append1(t, j, &journal.Batch{Records: []journal.Record{{Seq: 1, Count: 1, Run: 1, N: 1, At: 1}}, Heads: []journal.Head{{Run: 1, ID: "x", Workflow: "w", LastSeq: 1, Events: 1}}})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, o.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `DROP TABLE `+o.Schema+`.tag`); err != nil {
		t.Fatal(err)
	}
	look := func(j *Journal, want int) {
		t.Helper()
		h, ok, err := j.Head(1)
		p, lerr := j.Heads(journal.HeadFilter{Tags: []string{"team:data"}})
		if !ok || err != nil || lerr != nil || len(h.Tags) != want || len(p.Heads) != want {
			t.Errorf("head %+v, %v, %v; list %v, %v", h, ok, err, p, lerr)
		}
		if _, err := j.Verify(ctx, func(d journal.Damage) { t.Errorf("%+v", d) }); err != nil {
			t.Error(err)
		}
	}
	old, err := OpenReadOnly(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	look(old, 0)
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, o)
	defer j.Close()
	append1(t, j, &journal.Batch{Heads: []journal.Head{{Run: 1, ID: "x", Workflow: "w", LastSeq: 1, Events: 1, Tags: []string{"team:data"}}}})
	look(j, 1)
	run(t, o, `UPDATE tag SET sum = sum # 1`)
	found := 0
	if _, err := j.Verify(ctx, func(d journal.Damage) { found++ }); err != nil || found != 1 {
		t.Errorf("%d damages, %v", found, err)
	}
}

func append1(t *testing.T, j *Journal, b *journal.Batch) {
	t.Helper()
	done := make(chan error, 1)
	j.Append(b, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
