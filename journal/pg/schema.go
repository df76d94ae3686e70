package pg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// schemaSQL makes the tables where there are none. sum is the checksum of the row; see sums.go.
const schemaSQL = `
CREATE TABLE IF NOT EXISTS meta (one int PRIMARY KEY, format int NOT NULL, secret bytea NOT NULL);
CREATE TABLE IF NOT EXISTS node (
  id text COLLATE "C" PRIMARY KEY, addr text NOT NULL, until timestamptz NOT NULL, leaves boolean NOT NULL,
  backend int NOT NULL, began timestamptz -- of the connection that renews this row
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS shard (
  shard int PRIMARY KEY,
  epoch bigint NOT NULL,
  owner text COLLATE "C" NOT NULL, instance text NOT NULL, -- the node's name, and what one opening of the journal calls itself
  backend int NOT NULL, began timestamptz, -- of the connection that commits
  base bigint NOT NULL,
  clean boolean NOT NULL
) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS log (
  shard int NOT NULL, seq bigint NOT NULL, count int NOT NULL, run bigint NOT NULL, prev bigint NOT NULL, n bigint NOT NULL,
  at bigint NOT NULL, sum int NOT NULL, body bytea NOT NULL,
  PRIMARY KEY (shard, seq)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.5);
ALTER TABLE log ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS head (
  shard int NOT NULL, run bigint NOT NULL, id text COLLATE "C" NOT NULL, workflow text COLLATE "C" NOT NULL, version int NOT NULL, state smallint NOT NULL,
  last bigint NOT NULL, events bigint NOT NULL, created bigint NOT NULL, ended bigint NOT NULL, skipped int NOT NULL,
  digest bytea NOT NULL, failed bytea NOT NULL, sum int NOT NULL,
  PRIMARY KEY (shard, run)
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS head_state ON head (shard, state, run) WHERE state <> 1;
CREATE INDEX IF NOT EXISTS head_workflow ON head (shard, workflow, run);
CREATE INDEX IF NOT EXISTS head_ended ON head (shard, ended, run) WHERE ended <> 0;
CREATE TABLE IF NOT EXISTS id (shard int NOT NULL, id text COLLATE "C" NOT NULL, run bigint NOT NULL, until bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, id));
CREATE INDEX IF NOT EXISTS id_until ON id (shard, until) WHERE until <> 0;
CREATE TABLE IF NOT EXISTS expiry (shard int NOT NULL, until bigint NOT NULL, entry bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, until, entry)); -- records that told of purges
CREATE TABLE IF NOT EXISTS waypoint (shard int NOT NULL, run bigint NOT NULL, n bigint NOT NULL, seq bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, run, n));
CREATE TABLE IF NOT EXISTS snapshot (shard int NOT NULL, run bigint NOT NULL, seq bigint NOT NULL, sum int NOT NULL, state bytea NOT NULL, PRIMARY KEY (shard, run));
CREATE TABLE IF NOT EXISTS object (shard int NOT NULL, key text COLLATE "C" NOT NULL, version bigint NOT NULL, fence bigint NOT NULL, seq bigint NOT NULL, sum int NOT NULL,
  state bytea NOT NULL, PRIMARY KEY (shard, key));
CREATE TABLE IF NOT EXISTS setting (shard int NOT NULL, key text COLLATE "C" NOT NULL, sum int NOT NULL, value bytea NOT NULL, PRIMARY KEY (shard, key));
CREATE TABLE IF NOT EXISTS definition (shard int NOT NULL, name text COLLATE "C" NOT NULL, version int NOT NULL, digest text NOT NULL, at bigint NOT NULL, sum int NOT NULL,
  PRIMARY KEY (shard, name, version));
CREATE TABLE IF NOT EXISTS current (shard int NOT NULL, name text COLLATE "C" NOT NULL, version int NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, name));
CREATE TABLE IF NOT EXISTS body (digest text COLLATE "C" PRIMARY KEY, body bytea NOT NULL);
CREATE TABLE IF NOT EXISTS hole (shard int NOT NULL, seq bigint NOT NULL, len bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, seq));
CREATE TABLE IF NOT EXISTS said (shard int NOT NULL, run bigint NOT NULL, step text COLLATE "C" NOT NULL, attempt bigint NOT NULL, at bigint NOT NULL, sum int NOT NULL,
  text bytea NOT NULL, PRIMARY KEY (shard, run, step, attempt, at));
` + tagTableSQL

// tagTableSQL makes the table of the runs' tags, which schemas of older releases lack.
const tagTableSQL = `
CREATE TABLE IF NOT EXISTS tag (shard int NOT NULL, tag text COLLATE "C" NOT NULL, run bigint NOT NULL, sum int NOT NULL, PRIMARY KEY (shard, tag, run));
CREATE INDEX IF NOT EXISTS tag_run ON tag (shard, run);
`

// migrate makes what is missing.
func migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	var format int
	err := conn.QueryRow(ctx, `SELECT format FROM meta WHERE one = 1`).Scan(&format)
	if err == nil {
		if format != journal.FormatVersion {
			return fmt.Errorf("the schema %s has a journal of format %d, and this release knows format %d: use the release that wrote it, or a newer one", schema, format, journal.FormatVersion)
		}
		return addTags(ctx, conn, schema)
	}
	if !errors.Is(err, pgx.ErrNoRows) && codeOf(err) != undefinedTable && codeOf(err) != undefinedSchema {
		return err
	}
	return together(ctx, conn, func(tx pgx.Tx) error { return createTables(ctx, tx, schema) })
}

// together makes tables, at which another node may be, too.
func together(ctx context.Context, conn *pgx.Conn, fn func(pgx.Tx) error) (err error) {
	for range 3 {
		if err = pgx.BeginFunc(ctx, conn, fn); codeOf(err) != uniqueViolation && codeOf(err) != duplicateTable && codeOf(err) != deadlock {
			break
		}
	}
	return err
}

// addTags makes the table of tags in a schema of an older release.
func addTags(ctx context.Context, conn *pgx.Conn, schema string) error {
	there, err := hasTags(ctx, conn, schema)
	if err != nil || there {
		return err
	}
	return together(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, tagTableSQL)
		return err
	})
}

// hasTags says whether a schema has the table of tags.
func hasTags(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, schema string) (there bool, err error) {
	err = q.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, pgx.Identifier{schema, "tag"}.Sanitize()).Scan(&there)
	return there, err
}

func createTables(ctx context.Context, tx pgx.Tx, schema string) error {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	for _, sql := range []string{`CREATE SCHEMA IF NOT EXISTS ` + pgx.Identifier{schema}.Sanitize(), schemaSQL} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `INSERT INTO meta (one, format, secret) VALUES (1, $1, $2) ON CONFLICT DO NOTHING`, journal.FormatVersion, secret)
	return err
}

// endSQL is the sequence behind the log of the shard s. The log may end with what was purged: then a hole says how far it went.
const endSQL = `greatest(
  coalesce((SELECT l.seq + l.count FROM log l WHERE l.shard = s.shard ORDER BY l.seq DESC LIMIT 1), 0),
  coalesce((SELECT h.seq + h.len FROM hole h WHERE h.shard = s.shard ORDER BY h.seq DESC LIMIT 1), 0),
  (s.shard::bigint << 44) + 1)`

const fenceSQL = `SELECT 1 / count(*)::int FROM (
  SELECT 1 FROM shard s WHERE s.shard = $1 AND s.epoch = $2 AND ` + endSQL + ` = $3 FOR NO KEY UPDATE OF s) AS held`

const logSQL = `INSERT INTO log (shard, seq, count, run, prev, n, at, sum, body)
  SELECT $1, * FROM unnest($2::bigint[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::bytea[])`

const headSQL = `INSERT INTO head (shard, run, id, workflow, version, state, last, events, created, ended, skipped, digest, failed, sum)
  SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::int[], $6::smallint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::int[], $12::bytea[], $13::bytea[], $14::int[])
  ON CONFLICT (shard, run) DO UPDATE SET id = excluded.id, workflow = excluded.workflow, version = excluded.version, state = excluded.state, last = excluded.last,
  events = excluded.events, created = excluded.created, ended = excluded.ended, skipped = excluded.skipped, digest = excluded.digest, failed = excluded.failed, sum = excluded.sum`

// untagSQL removes the tags of some runs that are not among those given.
const untagSQL = `DELETE FROM tag WHERE shard = $1 AND run = ANY($2::bigint[]) AND (run, tag) NOT IN (SELECT * FROM unnest($3::bigint[], $4::text[]))`

const tagSQL = `INSERT INTO tag (shard, run, tag, sum) SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::int[])
  ON CONFLICT (shard, tag, run) DO UPDATE SET sum = excluded.sum`

const idSQL = `INSERT INTO id (shard, id, run, until, sum) SELECT $1, i, r, 0, s FROM unnest($2::text[], $3::bigint[], $4::int[]) AS x(i, r, s)
  ON CONFLICT (shard, id) DO UPDATE SET run = excluded.run, until = 0, sum = excluded.sum`

const waypointSQL = `INSERT INTO waypoint (shard, run, n, seq, sum) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::int[])
  ON CONFLICT (shard, run, n) DO UPDATE SET seq = excluded.seq, sum = excluded.sum`

const holeSQL = `INSERT INTO hole (shard, seq, len, sum) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::int[])`

const snapshotSQL = `INSERT INTO snapshot (shard, run, seq, sum, state) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::int[], $5::bytea[])
  ON CONFLICT (shard, run) DO UPDATE SET seq = excluded.seq, sum = excluded.sum, state = excluded.state`

const objectSQL = `INSERT INTO object (shard, key, version, fence, seq, sum, state) SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::int[], $7::bytea[])
  ON CONFLICT (shard, key) DO UPDATE SET version = excluded.version, fence = excluded.fence, seq = excluded.seq, sum = excluded.sum, state = excluded.state`

const settingSQL = `INSERT INTO setting (shard, key, sum, value) SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bytea[])
  ON CONFLICT (shard, key) DO UPDATE SET sum = excluded.sum, value = excluded.value`

const saidSQL = `INSERT INTO said (shard, run, step, attempt, at, sum, text) SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::int[], $7::bytea[])
  ON CONFLICT (shard, run, step, attempt, at) DO UPDATE SET sum = excluded.sum, text = excluded.text`

// unsaidSQL removes the pieces of an attempt behind its last bytes.
const unsaidSQL = `DELETE FROM said d USING (SELECT at, sum(length(text)) OVER (ORDER BY at DESC) - length(text) AS behind
    FROM said WHERE shard = $1 AND run = $2 AND step = $3 AND attempt = $4) x
  WHERE d.shard = $1 AND d.run = $2 AND d.step = $3 AND d.attempt = $4 AND d.at = x.at AND x.behind >= $5`

const recordCols = `seq, count, run, prev, n, at, sum, body`

// headCols are the columns of a head. Those of a schema of an older release, which is only read, have no tags.
func (j *Journal) headCols() string {
	tags := `ARRAY[]::text[]`
	if j.tagged {
		tags = `ARRAY(SELECT tag FROM tag WHERE tag.shard = head.shard AND tag.run = head.run ORDER BY tag)`
	}
	return `run, id, workflow, version, state, last, events, created, ended, skipped, digest, failed, sum, ` + tags
}
