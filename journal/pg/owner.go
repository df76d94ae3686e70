package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/agnt5/agnt5d/journal"
)

// A node owns the shard from its take-over to the next one. Its row in the table node says until when it is to be waited for, and is
// renewed five times a lease. A process that has died is not waited for: the server sees its connections end, so when it has neither the
// one it commits on nor the one it renews on, it is gone.

// ownerSQL is who has the shard, and whether it is alive.
const ownerSQL = `SELECT s.epoch, s.owner, coalesce(n.addr, ''), coalesce(n.until, '-infinity') > now(), coalesce(n.until, now()),
    coalesce(n.leaves, false), EXISTS (SELECT 1 FROM pg_stat_activity a WHERE (a.pid = s.backend AND a.backend_start = s.began) OR (a.pid = n.backend AND a.backend_start = n.began))
  FROM shard s LEFT JOIN node n ON n.id = s.owner WHERE s.shard = $1`

type owner struct {
	epoch  int64
	held   HeldError
	lease  bool // it has not run out
	leaves bool // it has said that it goes
	alive  bool // one of its connections is there
}

func (j *Journal) owner(ctx context.Context, c *pgx.Conn) (o owner, err error) {
	err = c.QueryRow(ctx, ownerSQL, int32(j.o.Shard)).Scan(&o.epoch, &o.held.Owner, &o.held.Addr, &o.lease, &o.held.Until, &o.leaves, &o.alive)
	return o, err
}

// settled is how long a node may have no connection before it is taken for dead: it may be connecting anew.
const settled = 200 * time.Millisecond

// free waits until the shard may be taken, as far as that is a matter of moments.
func (j *Journal) free(ctx context.Context, c *pgx.Conn) (owner, error) {
	o, err := j.owner(ctx, c)
	if err != nil || j.o.Force || !o.lease || o.held.Owner == "" || o.held.Owner == j.o.Node {
		return o, err
	}
	if !o.alive {
		select {
		case <-time.After(settled):
		case <-ctx.Done():
			return o, ctx.Err()
		}
		again, err := j.owner(ctx, c)
		if err != nil {
			return o, err
		}
		if !again.alive && again.epoch == o.epoch {
			return again, nil
		}
		o = again
	}
	return o, &o.held
}

// take makes the shard this node's, under a new epoch: whoever had it before can append no more.
func (j *Journal) take(ctx context.Context) error {
	c := j.w.conn
	tag, err := c.Exec(ctx, `INSERT INTO shard (shard, epoch, owner, instance, backend, base, clean) VALUES ($1, 0, '', '', 0, 0, true) ON CONFLICT DO NOTHING`, int32(j.o.Shard))
	if err != nil {
		return err
	}
	j.created = tag.RowsAffected() == 1
	for {
		o, err := j.free(ctx, c)
		if err != nil {
			return err
		}
		if err := j.renewOnce(ctx, c); err != nil { // first: who has the shard must have a lease
			return err
		}
		taken, err := j.lift(ctx, o.epoch)
		if err != nil {
			return err
		}
		if taken {
			break
		}
	}
	if _, err := c.Exec(ctx, `UPDATE node SET leaves = false WHERE id = $1 AND leaves`, j.o.Node); err != nil {
		return err
	}
	// In a new statement: a commit that the take-over has waited for is seen now.
	var base, ends int64
	if err := c.QueryRow(ctx, `SELECT base, clean, `+endSQL+`, EXISTS (SELECT 1 FROM tag WHERE tag.shard = $1) FROM shard s WHERE shard = $1`, int32(j.o.Shard)).Scan(&base, &j.clean, &ends, &j.w.tags); err != nil {
		return err
	}
	j.base, j.tail = max(uint64(base), j.o.Shard.First()-1), uint64(ends)
	j.w.cleanRow = j.clean
	return nil
}

const liftSQL = `UPDATE shard SET epoch = epoch + 1, owner = $3, instance = $4, backend = pg_backend_pid(),
  began = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) WHERE shard = $1 AND (epoch = $2 OR instance = $4) RETURNING epoch`

// lift makes a new epoch, if that of the shard is still the given one, or is one of this journal: it may have asked before, and not
// heard the answer. A writer that stands still in the middle of what it sends holds the
// shard's row for as long as its connection lasts, so after a moment that is ended from a second connection.
func (j *Journal) lift(ctx context.Context, epoch int64) (bool, error) {
	c := j.w.conn
	done := make(chan struct{})
	defer close(done)
	go j.unblock(done, c.PgConn().PID())
	err := c.QueryRow(ctx, liftSQL,
		int32(j.o.Shard), epoch, j.o.Node, j.instance).Scan(&j.w.epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

const patience = 300 * time.Millisecond

func (j *Journal) unblock(done <-chan struct{}, pid uint32) {
	for {
		select {
		case <-done:
			return
		case <-time.After(patience):
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, _ = j.pool.Exec(ctx, `SELECT pg_terminate_backend(p) FROM unnest(pg_blocking_pids($1)) AS p`, int32(pid))
		cancel()
	}
}

const renewSQL = `INSERT INTO node (id, addr, until, leaves, backend, began)
  VALUES ($1, $2, now() + make_interval(secs => $3), false, pg_backend_pid(), (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()))
  ON CONFLICT (id) DO UPDATE SET addr = excluded.addr, until = excluded.until, backend = excluded.backend, began = excluded.began`

func (j *Journal) renewOnce(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, renewSQL, j.o.Node, j.o.Addr, j.o.Lease.Seconds())
	return err
}

// renew keeps the lease until ctx ends, and notices that another node has the shard though nothing is appended.
func (j *Journal) renew(ctx context.Context) {
	var c *pgx.Conn
	defer func() {
		if c != nil {
			_ = c.Close(context.Background())
		}
	}()
	every := time.NewTicker(j.o.Lease / 5)
	defer every.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, j.o.Lease)
		err := j.renewOn(bounded, &c)
		cancel()
		if errors.Is(err, journal.ErrFenced) {
			_ = j.queue.Fail(err)
			return
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		case <-j.Broken():
			return
		}
	}
}

func (j *Journal) renewOn(ctx context.Context, c **pgx.Conn) error {
	if *c == nil || (*c).IsClosed() {
		cfg, err := j.o.config(j.o.URL)
		if err != nil {
			return err
		}
		if *c, err = pgx.ConnectConfig(ctx, cfg); err != nil {
			*c = nil
			return err
		}
	}
	if err := j.renewOnce(ctx, *c); err != nil {
		return err
	}
	var name, instance string
	if err := (*c).QueryRow(ctx, `SELECT owner, instance FROM shard WHERE shard = $1`, int32(j.o.Shard)).Scan(&name, &instance); err != nil {
		return err
	}
	if instance != j.instance {
		return fencedBy(name)
	}
	return nil
}

func fencedBy(name string) error {
	if name == "" {
		return journal.ErrFenced
	}
	return fmt.Errorf("%w: the node %s has it", journal.ErrFenced, name)
}
