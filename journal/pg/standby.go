package pg

import (
	"cmp"
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

const (
	lookEvery = 500 * time.Millisecond // how often a standby asks who has the shard
	lookSoon  = 10 * time.Millisecond  // the same when its owner has said that it leaves
	notice    = 2 * lookEvery          // how long an owner that leaves waits until standbys have heard of it
)

// Wait opens the journal as soon as it is free: at once when nobody has it, else when its owner leaves or dies. Meanwhile this node is
// listed as one that waits. tell is told of the owner, whenever it is another one, and of a database that does not answer (owner is nil),
// once; it must be quick.
func Wait(ctx context.Context, o Options, tell func(owner *HeldError, err error)) (*Journal, error) {
	o = o.withDefaults()
	w := standby{tell: tell}
	for {
		err := w.try(ctx, o)
		var held *HeldError
		switch {
		case err == nil:
			w.j.start()
			return w.j, nil
		case errors.As(err, &held):
			w.held(held)
			err = w.wait(ctx)
		case ctx.Err() == nil && away(err):
			w.away(err)
			err = pause(ctx, lookEvery)
		}
		if err != nil && (ctx.Err() != nil || !away(err)) {
			if w.j != nil {
				w.j.disconnect()
			}
			return nil, cmp.Or(ctx.Err(), err)
		}
	}
}

// try connects, where there is no connection, and takes the shard if it is free.
func (w *standby) try(ctx context.Context, o Options) error {
	if w.j != nil && w.j.w.conn.IsClosed() {
		w.j.disconnect()
		w.j = nil
	}
	if w.j == nil {
		j, err := connect(ctx, o)
		if err != nil {
			return err
		}
		w.j, w.warmed = j, false
	}
	return w.j.take(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// standby is a node that waits. Its journal is connected and has no shard.
type standby struct {
	j      *Journal
	tell   func(*HeldError, error)
	told   string // what was told last
	leaves bool
	warmed bool // the connections of j
}

// warm lets the server's processes behind the connections look once at all that a node reads and writes when it takes over. Without that each
// of them does it then, for the first time: tens of milliseconds. Nothing is changed, and nothing depends on it.
func (w *standby) warm(ctx context.Context) {
	j := w.j
	_, _ = j.Rows("-")
	_, _ = j.Definitions()
	_, _ = j.Runs(1)
	_ = j.snapshotsAfter(math.MaxInt64, func(journal.Found[journal.Snapshot]) error { return nil })
	_, _ = j.withoutSnapshot(0)
	_, _ = j.entries(scanSQL, int32(j.o.Shard), int64(math.MaxInt64), 1)
	for _, sql := range []string{j.o.fence, liftSQL, logSQL, headSQL, idSQL, snapshotSQL, objectSQL, settingSQL, saidSQL} {
		_, _ = j.w.conn.Prepare(ctx, sql, sql)
	}
}

func (w *standby) held(h *HeldError) {
	if text := h.Owner + " " + h.Addr; text != w.told {
		w.told = text
		w.tell(h, nil)
	}
}

func (w *standby) away(err error) {
	if w.told != "away" {
		w.told = "away"
		w.tell(nil, err)
	}
}

// wait looks who has the shard until it may be free.
func (w *standby) wait(ctx context.Context) error {
	if !w.warmed {
		w.warm(ctx)
		w.warmed = true
	}
	for w.leaves = false; ; {
		next := lookEvery
		if w.leaves {
			next = lookSoon
		}
		if err := pause(ctx, next); err != nil {
			return err
		}
		bounded, cancel := context.WithTimeout(ctx, 10*time.Second)
		free, err := w.look(bounded)
		cancel()
		if err != nil || free {
			return err
		}
	}
}

// look says whether the shard may be free, and renews this node's row.
func (w *standby) look(ctx context.Context) (bool, error) {
	if !w.leaves {
		if err := w.j.renewOnce(ctx, w.j.w.conn); err != nil {
			return false, err
		}
	}
	o, err := w.j.owner(ctx, w.j.w.conn)
	if err != nil {
		return false, err
	}
	w.leaves = o.leaves
	if o.held.Owner != "" {
		w.held(&o.held)
	}
	return o.held.Owner == "" || !o.lease || !o.alive, nil
}

// Leave lets the nodes that wait for the journal know that it will be free in a moment, so that they look often. It returns when they have
// had the time to hear of it; nothing changes for this node. Without any it returns at once.
func (j *Journal) Leave(ctx context.Context) error {
	var waiting int
	if err := j.pool.QueryRow(ctx, `SELECT count(*) FROM node WHERE id <> $1 AND until > now()`, j.o.Node).Scan(&waiting); err != nil || waiting == 0 {
		return err
	}
	if _, err := j.pool.Exec(ctx, `UPDATE node SET leaves = true WHERE id = $1`, j.o.Node); err != nil {
		return err
	}
	select {
	case <-time.After(notice):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-j.Broken():
		return j.Err()
	}
}

// Nodes gives the nodes of which something was heard, the owner of the shard first.
func (j *Journal) Nodes(ctx context.Context) ([]Node, error) {
	rows, err := j.pool.Query(ctx, `SELECT n.id, n.addr, n.until, coalesce(s.owner = n.id, false) FROM node n LEFT JOIN shard s ON s.shard = $1
		WHERE n.until > now() - interval '1 hour' ORDER BY 4 DESC, n.id`, int32(j.o.Shard))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Node])
}

// Node is a process that has the journal or waits for it.
type Node struct {
	Name   string
	Addr   string    // where it is reached; "": it did not say
	Until  time.Time // until when it is to be waited for
	Active bool      // it has the journal
}
