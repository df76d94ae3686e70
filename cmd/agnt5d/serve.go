package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/journal/bolt"
	"github.com/agnt5/agnt5d/journal/pg"
	"github.com/agnt5/agnt5d/push"
	"github.com/agnt5/agnt5d/ui"
	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"
)

func newServeCmd() *cobra.Command {
	o := defaultConfig()
	var configFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: workflows over HTTP, on one journal file",
		Long: `Runs the engine on one journal file and serves HTTP to workers in any language, web services and the verbs of this program.

Settings come from, the later winning: defaults, --config FILE (YAML), AGNT5D_* in the environment (AGNT5D_LISTEN for
--listen, and so on), flags. SIGTERM or Ctrl-C stops it: it takes no new tasks, ends waiting answers, lets what runs in it
finish for up to --drain, and closes the file. A second one ends it at once; nothing that was acknowledged is lost. SIGHUP
reads the certificate of --tls-cert again, and changes nothing else.`,
		Example: "  agnt5d serve\n  agnt5d serve --listen 127.0.0.1:9000 --file /var/lib/agnt5/runs.db",
		Args:    nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(cmd, configFile); err != nil {
				return usage(err)
			}
			return serve(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&configFile, "config", "", "settings in YAML (or AGNT5D_CONFIG)")
	o.flags(cmd.Flags())
	return cmd
}

// logger writes what happened: text at a terminal, else JSON, unless it was said.
func logger(o *config, w io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(o.LogLevel)) // check says what is wrong with it
	h := &slog.HandlerOptions{Level: level}
	if o.LogFormat == "json" || o.LogFormat == "" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

func serve(ctx context.Context, o *config, stdout, stderr io.Writer) error {
	log := logger(o, stderr)
	signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to end
	certs := &certificates{}
	defer hangups(log, certs)()
	allow, err := o.check()
	if err != nil {
		return usage(err)
	}
	for _, name := range o.strange {
		log.Warn("unknown setting; those of the daemon begin with AGNT5D_ and are listed by \"agnt5d serve --help\"", "environment", name)
	}
	for _, name := range o.misnamed {
		log.Warn("settings of the daemon begin with AGNT5D_; this one is taken where that name is not set", "environment", name)
	}
	created := "" // what is there from now on
	if o.Database == "" {
		created = absentUntilNow(o.File)
		if err := os.MkdirAll(filepath.Dir(o.File), 0o700); err != nil {
			return exit(exitError, "%v", err)
		}
	}
	if err := certs.open(o, log); err != nil {
		return exit(exitError, "TLS: %w", err)
	}
	listener, err := o.listen() // first: a port that is taken must not cost a recovery
	if err != nil {
		return err
	}
	defer listener.Close()
	if created != "" {
		log.Info("there was no journal: "+created, "file", o.File)
	}
	headroom := 0 // the engine's own
	if limit := limitMemory(o.MemoryLimit); limit > 0 {
		headroom = int(min(limit/8, 64<<20))
		log.Info("memory", "limit", limit)
	}
	var clock engine.Clock // the machine's
	if o.TestClock {
		clock = engine.NewTestClock()
		log.Warn("this daemon is for tests: POST /v1/test-clock moves its time ahead")
	}
	codec, err := payloadKey(o.PayloadKey)
	if err != nil {
		return exit(exitError, "%w", err)
	}
	if o.PayloadKey != "" {
		warnCareless(log, o.PayloadKey, "the keys of --payload-key")
	}
	if o.Database == "" {
		warnCareless(log, o.File+".key", "the key that seals the secrets of push services")
	}
	d := &node{o: o, log: log, certs: certs, codec: codec, allow: allow, listener: listener, stdout: stdout, stderr: stderr, failed: make(chan error, 1),
		engine: engine.Options{Codec: codec, Clock: clock, GCHeadroom: headroom, Logger: log, Services: o.limits(), Lease: o.Lease, Drain: o.Drain, Tombstones: o.KeepIDs, Retention: o.Retention.option(), MaxPayload: o.MaxPayload, Careful: o.Careful, Release: engine.Release()}}
	return d.run(ctx)
}

// absentUntilNow says what is made for a journal that does not exist: somebody may have misspelt its name. "": it is there.
func absentUntilNow(path string) string {
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, os.ErrNotExist) {
		return "a new folder and a new file are made"
	}
	return "a new file is made"
}

// node is what serve has set up: a listener, a journal to open, and a server whose answers come from whatever the journal's state
// allows.
type node struct {
	o              *config
	engine         engine.Options
	log            *slog.Logger
	certs          *certificates
	codec          engine.Codec
	allow          []netip.Prefix
	listener       net.Listener
	stdout, stderr io.Writer
	advertised     string // where other nodes say that this one is

	server  *http.Server
	handler atomic.Pointer[http.Handler] // who answers
	failed  chan error                   // the server has ended
}

// run opens the journal and serves it until ctx ends or it stops by itself. A node that another one has followed waits for its next turn.
func (d *node) run(ctx context.Context) error {
	d.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*d.handler.Load()).ServeHTTP(w, r) }),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)}
	if d.o.Database == "" {
		eng, err := open(ctx, d.o.File, d.engine)
		if errors.Is(err, errStopped) {
			d.log.Info("stopped while it opened the file; nothing was acknowledged", "file", d.o.File)
			return nil
		}
		if err != nil {
			return notOpened(err)
		}
		return d.work(ctx, eng, nil)
	}
	if tcp, ok := d.listener.Addr().(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		d.advertised = reachable(tcp, d.certs.on(), d.o.AllowHosts)
	}
	d.advertised = cmp.Or(d.o.Advertise, d.advertised)
	for began := false; ; began = true {
		standby := api.NewStandby(d.listener.Addr().String(), d.o.AllowHosts)
		d.answer(standby)
		if !began {
			d.serve()
		}
		eng, j, err := d.openDatabase(ctx, d.engine, standby)
		if errors.Is(err, errStopped) {
			_ = d.server.Close()
			d.log.Info("stopped while it waited for the journal")
			return nil
		}
		if err == nil {
			err = d.work(ctx, eng, j)
			d.engine.Careful = eng.Held() // a hold that nobody has ended holds at the next turn, too
		} else {
			err = notOpened(err)
		}
		if !errors.Is(err, journal.ErrFenced) || ctx.Err() != nil {
			_ = d.server.Close()
			return err
		}
		d.log.Warn("another node has taken the journal over; this one waits for it", "error", err)
	}
}

// notOpened is the error of a journal that could not be opened.
func notOpened(err error) error {
	code := exitError
	if errors.Is(err, bolt.ErrLocked) {
		code = exitConflict
	}
	return &exitErr{code, keyHint(err)}
}

// answer lets h answer from now on.
func (d *node) answer(h http.Handler) { d.handler.Store(&h) }

// serve begins to take connections.
func (d *node) serve() {
	limited := netutil.LimitListener(d.listener, d.o.MaxConnections)
	if d.certs.on() {
		limited = tls.NewListener(limited, d.certs.config())
		watching, stop := context.WithCancel(context.Background())
		d.server.RegisterOnShutdown(stop)
		go d.certs.watch(watching)
	}
	go func() { d.failed <- d.server.Serve(limited) }()
	fmt.Fprintf(d.stdout, "listening on %s\n", reachable(d.listener.Addr(), d.certs.on(), d.o.AllowHosts))
	kept := "file"
	if d.o.Database != "" {
		kept = "database"
	}
	d.log.Info("listening", "address", d.listener.Addr().String(), kept, d.o.name())
}

// work serves an engine until ctx ends or the engine stops by itself. j is its journal on a database; nil: it has a file.
func (d *node) work(ctx context.Context, eng *engine.Engine, j *pg.Journal) error {
	o, log := d.o, d.log
	tokens, err := openTokens(o, eng, log)
	if err != nil {
		return errors.Join(&exitErr{exitError, err}, eng.Close())
	}
	pushes, err := push.Start(eng, push.Options{Logger: log, Codec: d.codec, Allow: d.allow, MaxOutput: int64(o.MaxPayload)})
	if err != nil {
		return errors.Join(&exitErr{exitError, err}, eng.Close())
	}
	handler := api.New(eng, api.Options{Logger: log, Page: o.page(), Listen: d.listener.Addr().String(), Hosts: o.AllowHosts, MaxPayload: o.MaxPayload, MaxBodies: o.MaxBodies, Access: tokens, OpenMetrics: o.OpenMetrics, Push: pushes, Settings: o.shown(), Release: engine.Release()})
	d.answer(handler)
	if j == nil {
		d.serve()
	}
	var stopped error
	grace := o.Drain
	select {
	case <-ctx.Done():
		log.Info("stopping", "drain", o.Drain.String())
	case <-eng.Done():
		stopped, grace = eng.Err(), failedGrace
	case err := <-d.failed:
		stopped = err
	}
	fenced := errors.Is(stopped, journal.ErrFenced)
	if ctx.Err() == nil && !fenced { // it ends by itself: a signal need not ask for it any more
		go endAtNext()
	}
	if ctx.Err() != nil && j != nil {
		leaving, cancel := context.WithTimeout(context.Background(), o.Drain)
		_ = j.Leave(leaving) // those that wait may be gone, too
		cancel()
	}
	bounded, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if !fenced {
		late := time.AfterFunc(grace+5*time.Second, func() {
			fmt.Fprintln(d.stderr, "agnt5d: the daemon did not stop in time, and was ended; what was acknowledged is on disk")
			os.Exit(exitError)
		})
		defer late.Stop()
	}
	eng.Drain()
	handler.Stop()
	pushes.Stop(bounded)
	if fenced {
		return errors.Join(eng.Close(), stopped)
	}
	handler.Wait(bounded)
	if err := d.server.Shutdown(bounded); err != nil {
		_ = d.server.Close()
	}
	if err := eng.Close(); err != nil && stopped == nil {
		stopped = err
	}
	if stopped != nil {
		if errors.Is(stopped, engine.ErrBroken) {
			return exit(exitError, "stopped: %v", eng.Cause())
		}
		return exit(exitError, "%v", stopped)
	}
	log.Info("stopped")
	return nil
}

// page is the web page; nil: none.
func (c *config) page() http.Handler {
	switch {
	case c.NoUI:
		return nil
	case c.UIReadOnly:
		return ui.Handler(ui.ReadOnly)
	}
	return ui.Handler(ui.Full)
}

var errStopped = errors.New("stopped while it opened the file")

// open opens an engine. It does not wait for that when ctx ends: the process is to end, and a file that was being opened
// is none the worse for it.
func open(ctx context.Context, path string, o engine.Options) (*engine.Engine, error) {
	type opened struct {
		eng *engine.Engine
		err error
	}
	done := make(chan opened, 1)
	go func() {
		eng, err := engine.Open(path, o)
		done <- opened{eng, err}
	}()
	select {
	case got := <-done:
		return got.eng, got.err
	case <-ctx.Done():
	}
	go func() { // in a program that goes on
		if got := <-done; got.err == nil {
			_ = got.eng.Close()
		}
	}()
	return nil, errStopped
}

// openTokens reads the access tokens, and says how open the daemon is. Where others can reach it, it wants one.
func openTokens(o *config, eng *engine.Engine, log *slog.Logger) (*access.Store, error) {
	tokens, err := access.Open(eng, log)
	if err != nil || !o.wide() {
		return tokens, err
	}
	switch {
	case !tokens.Closed() && !o.Insecure:
		return nil, fmt.Errorf("--listen %s: others could reach it, and there is no access token; make one first: agnt5d token create NAME --scope admin --file %s", o.Listen, o.name())
	case !tokens.Closed():
		log.Warn("insecure: there is no access token, and anyone who reaches the port can do everything", "address", o.Listen)
	case o.TLSCert == "":
		log.Warn("insecure: there is no TLS, and whoever can read what is sent has the access tokens, unless a proxy ends TLS", "address", o.Listen)
	}
	return tokens, nil
}

// failedGrace is how long answers under way have when the engine has stopped by itself: nothing more will come of them.
const failedGrace = 500 * time.Millisecond

// hangups lets SIGHUP end nothing. It reads the certificate again; nothing else can change while the daemon runs, and the log says so.
func hangups(log *slog.Logger, certs *certificates) (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		for range hup {
			if certs.current.Load() != nil {
				certs.look(true)
				continue
			}
			log.Info("SIGHUP ignored: settings are read at start only; restart the daemon to change them")
		}
	}()
	return func() {
		signal.Stop(hup)
		close(hup)
	}
}
