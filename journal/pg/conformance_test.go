package pg

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/internal/pgtest"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/journaltest"
)

// asChild is what this process does for a test that has started it.
var asChild = func() {}

func TestMain(m *testing.M) {
	asChild()
	pgtest.Main(m)
}

// schemaOf names the schema of a test's journal.
func schemaOf(dir string) string { return fmt.Sprintf("test_%x", sha256.Sum256([]byte(dir)))[:24] }

// scratch gives the options of a journal in a schema of its own, which goes with the test.
func scratch(t testing.TB, name string) Options {
	t.Helper()
	o := Options{URL: pgtest.URL(t), Schema: schemaOf(name), Lease: time.Second}
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, o.URL)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, `DROP SCHEMA IF EXISTS `+o.Schema+` CASCADE`); err != nil {
			t.Error(err)
		}
	})
	return o
}

func open(t testing.TB, o Options) *Journal {
	t.Helper()
	j, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// run runs a statement behind the journal's back.
func run(t testing.TB, o Options, sql string, args ...any) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, o.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, `SET search_path = `+o.Schema); err != nil {
		t.Fatal(err)
	}
	tag, err := conn.Exec(ctx, sql, args...)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%s: %d rows, %v", sql, tag.RowsAffected(), err)
	}
}

func TestConformance(t *testing.T) {
	made := map[string]Options{}
	journaltest.Run(t, func(t *testing.T, dir string, shard journal.Shard) journal.Log {
		o, ok := made[dir]
		if !ok {
			o = scratch(t, dir)
			o.Shard, o.Force = shard, true
			made[dir] = o
		}
		return open(t, o)
	}, journaltest.Faults{
		Takeover: true,
		Damage: func(t *testing.T, dir string, seq uint64) {
			run(t, made[dir], `UPDATE log SET body = set_byte(body, 0, get_byte(body, 0) # 1) WHERE seq = $1`, int64(seq))
		},
	})
}
