package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
)

// writer has the one connection that commits.
type writer struct {
	j        *Journal
	conn     *pgx.Conn
	epoch    int64
	cleanRow bool // what the shard's row says of the last stop
	tags     bool // some run may have tags
	unsure   bool // the server said that a standby may lack a commit
}

func (w *writer) connect(ctx context.Context) error {
	cfg, err := w.j.o.config(w.j.o.URL)
	if err != nil {
		return err
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		// "canceling wait for synchronous replication": it is committed here, and perhaps on no standby. That is no acknowledgement.
		if strings.HasPrefix(n.Code, "01") && strings.Contains(n.Message, "synchronous replication") {
			w.unsure = true
		}
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		w.conn = conn
	}
	return err
}

// Append puts a batch into the queue and returns at once; see package journal, rule 8. What piles up during one commit is the next one.
func (j *Journal) Append(b *journal.Batch, done func(error)) { j.queue.Append(b, done) }

// Probe says whether there is space again.
func (j *Journal) Probe() error { return j.queue.Probe() }

// committer is where the queue leads: the transactions of the database.
type committer struct{ j *Journal }

// Check says what is wrong with a batch that must begin at next.
func (committer) Check(b *journal.Batch, next uint64) error { return b.Check(next) }

// Alone is so for a batch that removes runs, or what is left of them: it reads what is there.
func (committer) Alone(b *journal.Batch) bool { return len(b.Purges) > 0 || b.Sweep != 0 }

// Commit makes a group durable, for as long as it takes.
func (q committer) Commit(group []queue.Item) error {
	j := q.j
	c := newCommit(j, group)
	if c == nil {
		return nil // all of it is refused
	}
	began := time.Now()
	err := c.send()
	for tries := 0; err != nil; tries++ {
		code := codeOf(err)
		switch {
		case code == divisionByZero || code == uniqueViolation:
			return j.queue.Fail(c.whyFenced())
		case code == diskFull:
			return j.noSpace(err)
		case errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrBroken):
			return j.queue.Fail(err)
		case !passing(err):
			return j.queue.Fail(&brokenError{err})
		case j.o.Outage > 0 && time.Since(began) > j.o.Outage:
			return j.queue.Fail(&brokenError{fmt.Errorf("the database was away for %v: %w", j.o.Outage, err)})
		}
		if tries == 1 {
			j.o.Notice("the database does not answer; what is appended waits for it", err)
		}
		if tries > 0 {
			time.Sleep(min(time.Duration(tries)*20*time.Millisecond, time.Second))
		}
		var in bool
		if in, err = c.find(); err == nil && !in {
			err = c.send()
		}
		if err == nil && tries > 0 {
			j.o.Notice("the database answers again", nil)
		}
	}
	c.count(time.Since(began))
	return nil
}

// noSpace refuses what was appended and what is appended from now on: the server has said that it has recorded nothing of it.
func (j *Journal) noSpace(err error) error {
	return j.queue.Fill(fmt.Errorf("%w: %w", journal.ErrFull, err), j.tail)
}

// Probe looks whether a megabyte can be written.
func (q committer) Probe() error {
	j := q.j
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := pgx.BeginFunc(ctx, j.w.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO said (shard, run, step, attempt, at, sum, text) SELECT -1, 0, '', 0, i, 0, $1 FROM generate_series(1, 16) i`, make([]byte, 64<<10)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM said WHERE shard = -1`)
		return err
	})
	if codeOf(err) == diskFull {
		return j.noSpace(err)
	}
	if err != nil && !passing(err) {
		return j.queue.Fail(&brokenError{err})
	}
	return nil
}

// find is asked after a connection was lost during a commit. It connects anew and makes a new epoch, so that nothing of the old
// connection can still come; then where the log ends says whether the commit is in it. One without records is sent again in any case:
// twice is once.
func (c *commit) find() (in bool, err error) {
	w := &c.j.w
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if w.conn != nil {
		closing, stop := context.WithTimeout(ctx, time.Second)
		_ = w.conn.Close(closing)
		stop()
		w.conn = nil
	}
	w.unsure = false
	if err := w.connect(ctx); err != nil {
		return false, err
	}
	taken, err := c.j.lift(ctx, w.epoch)
	if err != nil {
		return false, err
	}
	if !taken {
		return false, c.whyFenced()
	}
	var ends int64
	if err := w.conn.QueryRow(ctx, `SELECT `+endSQL+` FROM shard s WHERE shard = $1`, int32(c.j.o.Shard)).Scan(&ends); err != nil {
		return false, err
	}
	switch uint64(ends) {
	case c.end:
		return c.end > c.begin, nil
	case c.begin:
		return false, nil
	}
	return false, lost(uint64(ends), c.begin)
}

// whyFenced says who has the shard, or that the log does not end where this node left it.
func (c *commit) whyFenced() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var name, instance string
	var ends int64
	err := c.j.pool.QueryRow(ctx, `SELECT owner, instance, `+endSQL+` FROM shard s WHERE shard = $1`, int32(c.j.o.Shard)).Scan(&name, &instance, &ends)
	switch {
	case err != nil:
		return journal.ErrFenced
	case instance == c.j.instance && uint64(ends) != c.begin:
		return lost(uint64(ends), c.begin)
	}
	return fencedBy(name)
}
