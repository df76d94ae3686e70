package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/api"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/journal/bolt"
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
	if err := os.MkdirAll(filepath.Dir(o.File), 0o700); err != nil {
		return exit(exitError, "%v", err)
	}
	if err := certs.open(o, log); err != nil {
		return exit(exitError, "TLS: %w", err)
	}
	listener, err := o.listen() // first: a port that is taken must not cost a recovery
	if err != nil {
		return err
	}
	defer listener.Close()
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
	warnCareless(log, o.File+".key", "the key that seals the secrets of push services")
	eng, err := open(ctx, o.File, engine.Options{Codec: codec, Clock: clock, GCHeadroom: headroom, Logger: log, Services: o.limits(), Lease: o.Lease, Drain: o.Drain, Tombstones: o.KeepIDs, Retention: o.Retention.option(), MaxPayload: o.MaxPayload, Release: engine.Release()})
	if errors.Is(err, errStopped) {
		log.Info("stopped while it opened the file; nothing was acknowledged", "file", o.File)
		return nil
	}
	if err != nil {
		code := exitError
		if errors.Is(err, bolt.ErrLocked) {
			code = exitConflict
		}
		return &exitErr{code, keyHint(err)}
	}
	tokens, err := openTokens(o, eng, log)
	if err != nil {
		return errors.Join(&exitErr{exitError, err}, eng.Close())
	}
	pushes, err := push.Start(eng, push.Options{Logger: log, Codec: codec, Allow: allow, MaxOutput: int64(o.MaxPayload)})
	if err != nil {
		return errors.Join(&exitErr{exitError, err}, eng.Close())
	}
	var page http.Handler // nil: none
	if !o.NoUI {
		mode := ui.Full
		if o.UIReadOnly {
			mode = ui.ReadOnly
		}
		page = ui.Handler(mode)
	}
	handler := api.New(eng, api.Options{Logger: log, Page: page, Listen: listener.Addr().String(), Hosts: o.AllowHosts, MaxPayload: o.MaxPayload, MaxBodies: o.MaxBodies, Access: tokens, OpenMetrics: o.OpenMetrics, Push: pushes, Release: engine.Release()})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	limited := netutil.LimitListener(listener, o.MaxConnections)
	if certs.on() {
		limited = tls.NewListener(limited, certs.config())
		watching, stop := context.WithCancel(context.Background())
		defer stop()
		go certs.watch(watching)
	}
	go func() { failed <- server.Serve(limited) }()
	fmt.Fprintf(stdout, "listening on %s\n", reachable(listener.Addr(), certs.on(), o.AllowHosts))
	log.Info("listening", "address", listener.Addr().String(), "file", o.File)

	var stopped error
	grace := o.Drain
	select {
	case <-ctx.Done():
		log.Info("stopping", "drain", o.Drain.String())
	case <-eng.Done():
		stopped, grace = eng.Err(), failedGrace
	case err := <-failed:
		stopped = err
	}
	if ctx.Err() == nil { // it ends by itself: a signal need not ask for it any more
		go endAtNext()
	}
	bounded, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	late := time.AfterFunc(grace+5*time.Second, func() {
		fmt.Fprintln(stderr, "agnt5d: the daemon did not stop in time, and was ended; what was acknowledged is on disk")
		os.Exit(exitError)
	})
	defer late.Stop()
	eng.Drain()
	handler.Stop()
	pushes.Stop(bounded)
	if err := server.Shutdown(bounded); err != nil {
		_ = server.Close()
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
		return nil, fmt.Errorf("--listen %s: others could reach it, and there is no access token; make one first: agnt5d token create NAME --scope admin --file %s", o.Listen, o.File)
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
