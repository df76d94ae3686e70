package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/hub"
	"github.com/agnt5/agnt5d/internal/leases"
	"github.com/agnt5/agnt5d/internal/sealed"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/timers"
)

// Errors of a journal that is a file, with errors.Is.
var (
	ErrLocked = bolt.ErrLocked
	// ErrGone: the ErrBroken whose cause is that the file is gone.
	ErrGone = bolt.ErrGone
)

// Open opens the journal at path, makes it if there is none, folds it, and starts the engine. When another process holds
// the file the error names it. An option that is out of its range is an error before anything is opened.
func Open(path string, o Options) (*Engine, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return nil, err
	}
	return OpenOn(j, path, o)
}

// OpenOn folds a journal that the caller has opened and starts the engine on it. The journal is the engine's from then on: it is
// closed with the engine, and when OpenOn fails. name is what errors and the log call it: a file, or a database without its
// password.
func OpenOn(j journal.Log, name string, o Options) (*Engine, error) {
	if err := o.check(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	o = o.withDefaults()
	kept := j
	archive.NameRuns(kept)
	j, err := sealed.Wrap(kept, o.Codec)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("engine: opening %s: %w", name, err), kept.Close())
	}
	e := &Engine{o: o, j: j, kept: kept, archive: archive.New(j), tokens: leases.NewSigner(j.Secret()), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), thinkers: make(chan struct{}, max(2, runtime.GOMAXPROCS(0)))}
	e.headroom = make([]byte, max(o.GCHeadroom, 0))
	e.news.ch = make(chan struct{})
	began := time.Now()
	e.h = hub.New(hub.Config{LeaseMS: o.Lease.Milliseconds(), LocalCapacity: o.Concurrency, Services: o.Services})
	host := e.h.Attach(journal.ShardOf(j.NextSeq()), link{e})
	e.r = shard.New(shard.Config{Journal: j, Archive: e.archive, Release: o.Release, Boot: newBoot(), LeaseMS: o.Lease.Milliseconds(), CheckpointBytes: o.CheckpointBytes,
		MaxLive: o.MaxLive, TombstoneMS: o.Tombstones.Milliseconds(), Host: host,
		Room: e.room, Execute: e.execute, Evaluate: e.evaluate, Cancel: e.cancelAttempt, Damage: e.damaged, Newer: e.waits,
		Careful: o.Careful, Released: e.released})
	e.reader = shard.Reader{Journal: j, Archive: e.archive, Damage: e.damaged}
	if err := e.readPauses(); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: opening %s: %w", name, err), j.Close())
	}
	if near, ok := kept.(journal.Near); ok {
		e.near = near.Near()
	}
	if err := e.r.Recover(e.now()); err != nil {
		return nil, errors.Join(fmt.Errorf("engine: recovering %s: %w", name, err), j.Close())
	}
	e.durable.Store(j.NextSeq() - 1)
	boot := e.r.Boot()
	committed := make(chan error, 1)
	j.Append(boot.Batch, func(err error) { committed <- err })
	if err := <-committed; err != nil {
		return nil, errors.Join(fmt.Errorf("engine: opening %s: %w", name, err), j.Close())
	}
	first := boot.Records[0].Seq
	e.r.Committed(boot, nil, e.now())
	e.durable.Store(boot.Last)
	e.sayOpen(name, first, time.Since(began))
	if o.Careful {
		e.held.Store(true)
		e.o.Logger.Warn("every run is held until they are resumed: nothing is handed out, and no timer fires", "command", "agnt5d resume --all")
	}
	e.clock = timers.Start(o.Clock, e.poke)
	e.quarantineEnded()
	go e.loop()
	ctx, unkeep := context.WithCancel(context.Background())
	e.unkeep, e.keeping, e.awake = unkeep, make(chan struct{}), make(chan struct{}, 1)
	go e.keep(ctx)
	return e, nil
}

// Lineage tells journals apart, and what one was before a backup of it was put back from what it is since: a sequence means the same
// event only as long as this is the same. A copy that was put in place by hand is not told apart.
func (e *Engine) Lineage() string {
	sum := sha256.Sum256(append([]byte("history "), e.j.Secret()...))
	return hex.EncodeToString(sum[:4])
}

// Path is the journal's file; "" when it is not kept in one.
func (e *Engine) Path() string {
	if file, ok := e.kept.(interface{ Path() string }); ok {
		return file.Path()
	}
	return ""
}
