package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/diagram"
	"github.com/agnt5/agnt5d/internal/ids"
	"github.com/agnt5/agnt5d/internal/listing"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
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
	page := ui.Handler(ui.File)
	if page == nil {
		return exit(exitError, "this program was built without the page (build tag noui)")
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return exit(exitError, "cannot listen on %s: %v", listen, errors.Unwrap(err))
	}
	server := &http.Server{Handler: &fileServer{f: f, page: page}, ReadHeaderTimeout: 10 * time.Second}
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
		if errors.As(err, &x) && x.code == exitNotFound {
			p.Status, p.Code = http.StatusNotFound, "not_found"
		}
	}
	b, _ := model.Marshal(p)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(b)
}

type object map[string]any

func (s *fileServer) answer(r *http.Request) (any, error) {
	parts, err := ids.Parts(r.URL.EscapedPath())
	if err != nil {
		return nil, &model.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
	}
	part := func(i int) string {
		if i < len(parts) {
			return parts[i]
		}
		return ""
	}
	q := r.URL.Query()
	switch {
	case r.URL.Path == "/version":
		return object{"version": engine.Release(), "durable": 0}, nil // 0: nothing happens here
	case r.URL.Path == "/v1/session":
		return object{"by": "local", "scope": "read", "open": true}, nil
	case part(1) == "runs" && len(parts) == 2:
		return s.runs(q)
	case part(1) == "runs" && len(parts) == 3:
		return s.status(part(2), given(q, "at"))
	case part(1) == "runs" && len(parts) == 4 && part(3) == "events":
		return s.history(part(2), q)
	case part(1) == "runs" && len(parts) == 4 && part(3) == "timeline":
		return s.timeline(r.Context(), part(2))
	case part(1) == "workflows" && len(parts) == 2:
		return s.workflows()
	case part(1) == "workflows" && len(parts) == 3:
		return s.workflow(part(2), uint32(given(q, "version")))
	case part(1) == "workflows" && len(parts) == 4 && part(3) == "graph":
		return s.graph(part(2), uint32(given(q, "version")), int(given(q, "fold")))
	}
	return nil, &model.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "a journal file does not say this: " + r.URL.Path}
}

func given(q url.Values, name string) uint64 {
	n, _ := strconv.ParseUint(q.Get(name), 10, 63)
	return n
}

func (s *fileServer) runs(q url.Values) (any, error) {
	f, err := listing.Read(q)
	if err != nil {
		return nil, &model.Problem{Status: http.StatusBadRequest, Code: "invalid_request", Detail: err.Error()}
	}
	f.Limit, f.Cursor = int(cmp.Or(min(given(q, "limit"), 1000), 100)), q.Get("cursor")
	runs, next, err := archive.Runs(s.f.Journal, f, nil)
	if err != nil {
		return nil, err
	}
	return object{"runs": runs, "next_cursor": next}, nil
}

func (s *fileServer) status(id string, at uint64) (any, error) {
	if at == 0 {
		return s.f.status(id)
	}
	_, last, err := s.all(id)
	if err != nil {
		return nil, err
	}
	run, err := s.f.find(id)
	if err != nil {
		return nil, err
	}
	if at < run {
		return nil, exit(exitNotFound, "at event %d run %q had not begun; its first event is %d", at, id, run)
	}
	state, seq, when, err := s.f.StateAt(run, last, at)
	if err != nil {
		return nil, s.f.broken(err)
	}
	out, err := s.f.Status(&archive.Look{S: state, Reasons: engine.ReasonsThen(state)}, archive.AllSteps)
	if err != nil {
		return nil, err
	}
	out.AsOf = &model.AsOf{Seq: seq, N: state.Events, At: rfc3339.Format(when)}
	return out, nil
}

// all gives the events of a run; those of the one that was looked at last are kept.
func (s *fileServer) all(id string) (events []model.Event, last uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == id {
		return s.events, s.last, nil
	}
	run, err := s.f.find(id)
	if err != nil {
		return nil, 0, err
	}
	w := s.f.Walk()
	w.Each = func(e model.Event, _ *replay.State, _ []string) error {
		events = append(events, e)
		return nil
	}
	if err := s.f.walk(w, run, 0); err != nil {
		return nil, 0, err
	}
	if n := w.Newer[run]; n != nil {
		last = n.Last
	} else {
		last = w.States[run].LastSeq
	}
	s.run, s.events, s.last = id, events, last
	return events, last, nil
}

func (s *fileServer) history(id string, q url.Values) (any, error) {
	events, _, err := s.all(id)
	if err != nil {
		return nil, err
	}
	from := min(int(given(q, "cursor")), len(events))
	to := min(from+int(cmp.Or(min(given(q, "limit"), 1000), 100)), len(events))
	return object{"events": events[from:to], "next_cursor": strconv.Itoa(to)}, nil
}

func (s *fileServer) timeline(ctx context.Context, id string) (any, error) {
	_, last, err := s.all(id)
	if err != nil {
		return nil, err
	}
	h, err := s.f.FindHead(id, 0)
	if err != nil {
		return nil, err
	}
	spans, _, err := s.f.Timeline(ctx, h, last, 0, 50_000)
	return object{"attempts": spans}, err
}

func (s *fileServer) workflows() (any, error) {
	all, err := s.f.Definitions()
	if err != nil {
		return nil, err
	}
	place, list := map[string]int{}, []model.Workflow{}
	for _, d := range all {
		i, ok := place[d.Name]
		if !ok {
			i = len(list)
			place[d.Name] = i
			list = append(list, model.Workflow{Name: d.Name})
		}
		w := &list[i]
		w.Versions++
		if d.Current {
			w.Version, w.Current, w.Digest, w.CreatedAt = d.Version, d.Version, d.Digest, rfc3339.Format(d.At)
		}
	}
	slices.SortFunc(list, func(a, b model.Workflow) int { return strings.Compare(a.Name, b.Name) })
	return object{"workflows": list}, nil
}

func (s *fileServer) workflow(name string, version uint32) (any, error) {
	all, err := s.f.Definitions()
	if err != nil {
		return nil, err
	}
	var out model.Workflow
	for _, d := range all {
		if d.Name != name {
			continue
		}
		out.Versions++
		if d.Current {
			out.Current = d.Version
		}
		if d.Version == version || version == 0 && d.Current {
			out.Name, out.Version, out.Digest, out.CreatedAt = name, d.Version, d.Digest, rfc3339.Format(d.At)
			if out.Definition, err = s.f.DefinitionBody(d.Digest); err != nil {
				return nil, err
			}
		}
	}
	if out.Name == "" {
		return nil, exit(exitNotFound, "no workflow %q version %d in %s", name, version, s.f.path)
	}
	return out, nil
}

func (s *fileServer) graph(name string, version uint32, fold int) (any, error) {
	w, err := s.workflow(name, version)
	if err != nil {
		return nil, err
	}
	wf := w.(model.Workflow)
	g, err := s.f.Graph(flow.Digest(wf.Digest))
	if err != nil {
		return nil, err
	}
	d := diagram.Of(g)
	if fold > 0 {
		d = d.Fold(fold, nil)
	}
	out := d.Layout().Model()
	out.Name, out.Version, out.Digest = wf.Name, wf.Version, wf.Digest
	return out, nil
}
