package pg

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agnt5/agnt5d/internal/queue"
	"github.com/agnt5/agnt5d/journal"
)

// Options are a journal's settings.
type Options struct {
	// URL names the database: postgres://user@host:5432/name, or any other text that libpq takes. What it does not say is taken from
	// PGHOST, PGPASSWORD and so on.
	URL string
	// Schema is the schema of the journal's tables, which is made when it is missing. "": agnt5.
	Schema string
	Shard  journal.Shard
	// Node names this process among those that may have the journal. "": a random name. Two processes must not share one.
	Node string
	// Addr is where others reach this node, for whoever asks who has the journal.
	Addr string
	// Lease is how long a silent owner is waited for. 0: 5 s.
	Lease time.Duration
	// Outage is how long commits wait for a database that is away, before the journal stops. 0: for as long as it takes.
	Outage time.Duration
	// Force takes the journal from a node that is alive.
	Force bool
	// GroupBytes bounds what one commit holds. 0: 4 MiB.
	GroupBytes int
	// Notice is told what an operator should know: an outage, its end. It must be quick. nil: nobody.
	Notice func(text string, err error)

	fence string // another one, for the test that shows what it is for
}

func (o Options) withDefaults() Options {
	if o.Schema == "" {
		o.Schema = "agnt5"
	}
	if o.Node == "" {
		o.Node = "node-" + strings.ToLower(rand.Text()[:12])
	}
	if o.Lease == 0 {
		o.Lease = 5 * time.Second
	}
	if o.GroupBytes == 0 {
		o.GroupBytes = 4 << 20
	}
	if o.Notice == nil {
		o.Notice = func(string, error) {}
	}
	if o.fence == "" {
		o.fence = fenceSQL
	}
	return o
}

// MaxShard is the highest shard whose sequences are a PostgreSQL bigint.
const MaxShard journal.Shard = 1<<19 - 1

func (o *Options) check() error {
	switch {
	case o.Shard > MaxShard:
		return fmt.Errorf("pg: shard %d, the highest is %d", o.Shard, MaxShard)
	case o.Lease != 0 && o.Lease < 200*time.Millisecond:
		return fmt.Errorf("pg: a lease of %v, want at least 200ms", o.Lease)
	case o.Outage < 0:
		return fmt.Errorf("pg: an outage of %v", o.Outage)
	case len(o.Schema) > 63 || strings.ContainsRune(o.Schema, 0):
		return fmt.Errorf("pg: %q is no name of a schema, which has 1 to 63 bytes", o.Schema)
	}
	return nil
}

// Journal is the journal of one shard in the hands of this process. It is a journal.Log.
type Journal struct {
	o        Options
	pool     *pgxpool.Pool // for the lease
	reads    reader        // the pool, or one transaction
	secret   []byte
	instance string // names this opening among those of the node
	created  bool
	readOnly bool
	tagged   bool // the schema has a table of tags
	w        writer

	queue   *queue.Queue
	leasing context.CancelFunc

	mu    sync.Mutex
	tail  uint64 // behind all that is committed; the committer alone changes it
	base  uint64
	clean bool // the last batch was that of a clean stop
	stats journal.Stats
}

var _ journal.Log = (*Journal)(nil)

// reader is where rows are read.
type reader interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Name is a database's URL without its password, for logs and errors.
func Name(dsn string) string {
	cfg, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return "the database"
	}
	u := url.URL{Scheme: "postgres", Host: fmt.Sprintf("%s:%d", cfg.Host, cfg.Port), Path: "/" + cfg.Database}
	if strings.HasPrefix(cfg.Host, "/") {
		u.Host = ""
		u.RawQuery = "host=" + cfg.Host
	}
	if cfg.User != "" {
		u.User = url.User(cfg.User)
	}
	return u.String()
}

// connect gives a connection of its own. lost is called from it when a commit was not kept by the standbys that it should wait for.
func (o *Options) config(dsn string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", plain(err))
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "agnt5d " + o.Node
	}
	// Said to the server and not with the start of the connection: PgBouncer refuses that. An acknowledged commit is durable whatever the
	// role's default is.
	settings := `SET search_path = ` + pgx.Identifier{o.Schema}.Sanitize() + `; SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'`
	cfg.AfterConnect = func(ctx context.Context, c *pgconn.PgConn) error {
		_, err := c.Exec(ctx, settings).ReadAll()
		return err
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	return cfg, nil
}

// plain is a parse error without the URL, which may hold a password.
func plain(err error) error {
	var parse *pgconn.ParseConfigError
	if errors.As(err, &parse) {
		if why := errors.Unwrap(parse); why != nil {
			return errors.New("cannot be parsed: " + why.Error())
		}
		return errors.New("cannot be parsed")
	}
	return err
}

// Open takes the shard over and gives its journal, which is made when there is none. A node that is alive keeps it: then the error is a
// *HeldError. A commit of the owner before that is under way is waited for.
func Open(ctx context.Context, o Options) (*Journal, error) {
	j, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := j.take(ctx); err != nil {
		j.disconnect()
		return nil, err
	}
	j.start()
	return j, nil
}

// ErrNoJournal: the schema has no journal.
var ErrNoJournal = errors.New("there is no journal")

// OpenReadOnly gives a journal to be read, while a node may work on it: up to where its log ended at the moment of opening. Nothing is
// changed in the database; what would change something is refused with ErrClosed.
func OpenReadOnly(ctx context.Context, o Options) (*Journal, error) {
	j, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	return j.toRead(ctx)
}

// OpenMoment is OpenReadOnly for one goroutine: all that is read is of one moment. As long as it is open, the database keeps what is
// deleted meanwhile.
func OpenMoment(ctx context.Context, o Options) (*Journal, error) {
	j, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := j.w.connect(ctx); err != nil {
		j.pool.Close()
		return nil, err
	}
	if j.reads, err = j.w.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
		j.disconnect()
		return nil, err
	}
	return j.toRead(ctx)
}

func (j *Journal) toRead(ctx context.Context) (*Journal, error) {
	j.readOnly = true // the queue is never started: nothing is committed
	var base, ends int64
	err := j.reads.QueryRow(ctx, `SELECT s.base, s.clean, m.secret, `+endSQL+` FROM shard s, meta m WHERE s.shard = $1 AND m.format = $2`,
		int32(j.o.Shard), journal.FormatVersion).Scan(&base, &j.clean, &j.secret, &ends)
	if errors.Is(err, pgx.ErrNoRows) || codeOf(err) == undefinedTable || codeOf(err) == undefinedSchema {
		err = fmt.Errorf("%w in the schema %s", ErrNoJournal, j.o.Schema)
	}
	if err != nil {
		j.disconnect()
		return nil, err
	}
	if j.tagged, err = hasTags(ctx, j.reads, j.o.Schema); err != nil {
		j.disconnect()
		return nil, err
	}
	j.base, j.tail = max(uint64(base), j.o.Shard.First()-1), uint64(ends)
	return j, nil
}

// connect gives a journal that has no shard yet.
func connect(ctx context.Context, o Options) (*Journal, error) {
	j, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := j.open(ctx); err != nil {
		j.disconnect()
		return nil, err
	}
	return j, nil
}

// prepare gives a journal with a pool of connections, none of which need be there yet.
func prepare(ctx context.Context, o Options) (*Journal, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	j := &Journal{o: o, instance: rand.Text()}
	j.queue = queue.New(committer{j}, o.GroupBytes)
	j.w.j = j
	cfg, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", plain(err))
	}
	if cfg.ConnConfig, err = o.config(o.URL); err != nil {
		return nil, err
	}
	cfg.MaxConns = max(cfg.MaxConns, 8)
	j.pool, err = pgxpool.NewWithConfig(ctx, cfg)
	j.reads = j.pool
	return j, err
}

func (j *Journal) disconnect() {
	if j.w.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_ = j.w.conn.Close(ctx)
		cancel()
	}
	j.pool.Close()
}

// start lets a journal work that has its shard.
func (j *Journal) start() {
	renewing, stop := context.WithCancel(context.Background())
	j.leasing = stop
	go j.renew(renewing)
	j.queue.Start(j.tail, nil)
}

func (j *Journal) open(ctx context.Context) error {
	if err := j.w.connect(ctx); err != nil {
		return err
	}
	if err := j.checkEncoding(ctx); err != nil {
		return err
	}
	if err := migrate(ctx, j.w.conn, j.o.Schema); err != nil {
		return err
	}
	j.tagged = true
	return j.pool.QueryRow(ctx, `SELECT secret FROM meta WHERE one = 1`).Scan(&j.secret)
}

func (j *Journal) checkEncoding(ctx context.Context) error {
	var encoding string
	if err := j.w.conn.QueryRow(ctx, `SHOW server_encoding`).Scan(&encoding); err != nil {
		return err
	}
	if encoding != "UTF8" {
		return fmt.Errorf("%s has the encoding %s, and the journal needs UTF8: create the database with ENCODING 'UTF8' TEMPLATE template0", Name(j.o.URL), encoding)
	}
	return nil
}

// Secret is of the whole database: a lease token holds on every node.
func (j *Journal) Secret() []byte { return j.secret }

// Created says whether this node made the shard.
func (j *Journal) Created() bool { return j.created }

// NextSeq is the sequence that the next record will have, once all that was appended is committed.
func (j *Journal) NextSeq() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tail
}

// Node is this process's name among those that may have the journal.
func (j *Journal) Node() string { return j.o.Node }

// Broken is closed when the journal has stopped by itself.
func (j *Journal) Broken() <-chan struct{} { return j.queue.Broken() }

// Err says why the journal has stopped.
func (j *Journal) Err() error { return j.queue.Err() }

// release lets the shard go. A connection may have died with an earlier primary, so another one is tried.
func (j *Journal) release(ctx context.Context) error {
	for {
		_, err := j.pool.Exec(ctx, `UPDATE shard SET owner = '', backend = 0 WHERE shard = $1 AND instance = $2`, int32(j.o.Shard), j.instance)
		if err == nil || !passing(err) || pause(ctx, 10*time.Millisecond) != nil {
			return err
		}
	}
}

// Close commits what is queued, and lets the shard go: the next node need not wait for the lease.
func (j *Journal) Close() error {
	if j.readOnly {
		j.disconnect()
		return nil
	}
	if !j.queue.Close() {
		return nil
	}
	j.leasing()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := j.Err()
	if err == nil {
		err = j.release(ctx)
	}
	_, _ = j.pool.Exec(ctx, `DELETE FROM node WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM shard WHERE owner = $1)`, j.o.Node)
	j.disconnect()
	if errors.Is(err, journal.ErrFenced) || errors.Is(err, journal.ErrBroken) {
		return nil // whoever appended was told
	}
	return err
}
