package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/ui"
	"github.com/spf13/cobra"
)

func newUICmd() *cobra.Command {
	var path, listen string
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Show a journal that no daemon holds as a web page, read-only",
		Long: `Serves the web page on a journal file: the runs, and each of them as of any of its events. The file is not changed, and nothing
in it moves on. A running daemon serves the page itself, at its address.`,
		Example: "  agnt5d ui --file /tmp/from-production.db",
		Args:    nargs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return exit(exitUsage, "ui wants --file JOURNAL; a running daemon serves the page at its own address")
			}
			if !isLoopback(listen) {
				return exit(exitUsage, "--listen %s: whoever reaches the address would see the journal; only loopback addresses are taken", listen)
			}
			return serveFile(cmd.Context(), path, listen, cmd.OutOrStdout())
		},
	}
	textFlag(cmd, &path, "file", "the journal file")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "a loopback address; port 0: one that is free")
	return cmd
}

func serveFile(ctx context.Context, path, listen string, stdout io.Writer) error {
	f, err := openFile(path, pageThere)
	if err != nil {
		return err
	}
	defer f.Close()
	asOf, err := f.lastWritten()
	if err != nil {
		return err
	}
	page := ui.Handler(ui.File)
	if page == nil {
		return exit(exitError, "this program was built without the page (build tag noui)")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return exit(exitError, "cannot listen on %s: %v", listen, errors.Unwrap(err))
	}
	server := &http.Server{Handler: &fileServer{f: f, page: page, asOf: asOf}, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	fmt.Fprintf(stdout, "%s, read-only: http://%s (Ctrl-C ends it)\n", path, l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return exit(exitError, "%v", err)
	}
	return nil
}

// fileServer answers what the page asks of a daemon, from a file.
type fileServer struct {
	f    *file
	page http.Handler
	asOf int64 // Unix ms: when the journal was last written

	mu     sync.Mutex
	run    string // whose events are kept
	events []model.Event
	last   uint64 // sequence of its last record
}

func (s *fileServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if host != "localhost" && net.ParseIP(host) == nil || strings.HasPrefix(r.URL.Path, "/v1/") && site != "" && site != "same-origin" && site != "none" {
		s.fail(w, &model.Problem{Status: http.StatusForbidden, Code: "origin_refused", Detail: "the request comes from another site"})
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.fail(w, &model.Problem{Status: http.StatusMethodNotAllowed, Code: "read_only", Detail: "a journal file is only shown, not changed"})
		return
	}
	if r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/ui/") {
		s.page.ServeHTTP(w, r)
		return
	}
	out, err := s.answer(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	b, err := model.Marshal(out)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n'))
}

func (s *fileServer) fail(w http.ResponseWriter, err error) {
	var p *model.Problem
	var x *exitErr
	if !errors.As(err, &p) {
		p = &model.Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: err.Error()}
		var wrong *archive.FilterError
		switch {
		case errors.As(err, &x) && x.code == exitNotFound, errors.Is(err, engine.ErrWorkflowNotFound):
			p.Status, p.Code = http.StatusNotFound, "not_found"
		case errors.As(err, &wrong):
			p.Status, p.Code = http.StatusBadRequest, "invalid_request"
		}
	}
	b, _ := model.Marshal(p)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}
