package api

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"

	"github.com/agnt5/agnt5d/internal/build"
	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/push"
	"github.com/agnt5/agnt5d/schedules"
)

// health says that the process answers, and nothing else.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	return s.reply(w, http.StatusOK, healthy{"ok"})
}

type healthy struct {
	Status string `json:"status"`
}

type readiness struct {
	Ready   bool          `json:"ready"`
	Reasons []readyReason `json:"reasons"` // why not, or what to look at although it is
}

type readyReason struct {
	Code   string `json:"code"` // shutting_down, standby, engine_stopped, disk_full, held, damage, newer_release
	Detail string `json:"detail"`
}

// ready says whether requests are worth sending. It asks the engine's loop, so a loop that hangs does not say yes.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) error {
	out := readiness{Ready: true, Reasons: []readyReason{}}
	no := func(code, detail string) {
		out.Ready = false
		out.Reasons = append(out.Reasons, readyReason{code, detail})
	}
	if s.stopping.Load() {
		no("shutting_down", "the daemon is stopping")
	}
	st, err := s.eng.Stats()
	switch {
	case err != nil:
		no("engine_stopped", err.Error())
	case st.DiskFull:
		no("disk_full", "there is no space for the journal: only reads are admitted")
	}
	if st.Hold.Held {
		out.Reasons = append(out.Reasons, readyReason{"held", heldNow(st.Hold)})
	}
	if st.Damages > 0 {
		out.Reasons = append(out.Reasons, readyReason{"damage", damaged(st.Damages)})
	}
	if st.Newer > 0 {
		out.Reasons = append(out.Reasons, readyReason{"newer_release", fmt.Sprintf("runs that wait for the newer release of agnt5d that wrote them: %d. Start it again on this journal", st.Newer)})
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	return s.reply(w, status, out)
}

func damaged(n int) string {
	found := "1 damaged record was found"
	if n > 1 {
		found = fmt.Sprintf("%d damaged records were found", n)
	}
	return found + " since the start: \"agnt5d list --state quarantined\" shows the runs, \"agnt5d replay --check\" says what is damaged"
}

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // of the source that it was built from; "unknown" when the build did not record it
	Format  int    `json:"format"` // of the journal
	Go      string `json:"go"`
	API     string `json:"api"`
	Durable uint64 `json:"durable"` // sequence of the last durable event: where a live feed begins
	Zones   string `json:"zones"`   // release of the time zone data
}

func (s *Server) version(w http.ResponseWriter, _ *http.Request) error {
	return s.reply(w, http.StatusOK, versionInfo{s.o.Release, build.Read().Commit, journal.FormatVersion, runtime.Version(), "v1", s.eng.Durable(), schedules.ZoneData})
}

type settings struct {
	Settings map[string]string `json:"settings"` // value by name, as a flag takes it
}

func (s *Server) showSettings(w http.ResponseWriter, _ *http.Request) error {
	out := settings{s.o.Settings}
	if out.Settings == nil {
		out.Settings = map[string]string{}
	}
	return s.reply(w, http.StatusOK, out)
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	s.write(w, http.StatusOK, s.spec)
	return nil
}

// explainCode is the page that a problem's type leads to.
func (s *Server) explainCode(w http.ResponseWriter, r *http.Request) error {
	c := byName[r.PathValue("code")]
	if c == nil {
		return problem("not_found", "there is no error code "+quote(r.PathValue("code")))
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.write(w, http.StatusOK, fmt.Appendf(nil, "%s (HTTP %d)\n\n%s\n\n%s\n", c.Name, c.Status, c.Title, c.Remedy))
	return nil
}

// front is what a browser sees that was sent to the address itself.
func (s *Server) front(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	s.write(w, http.StatusOK, fmt.Appendf(nil, "agnt5d %s\n\nGET /openapi.json   every route\nGET /v1/runs         the runs\nGET /v1/workflows    the workflows\nGET /v1/workers      who works\nGET /readyz          whether all is well\nGET /metrics         figures\n", s.o.Release))
	return nil
}

func (s *Server) pushes() (*push.Manager, error) {
	if s.o.Push == nil {
		return nil, problem("service_not_found", "this daemon runs no push services")
	}
	return s.o.Push, nil
}

type serviceBody struct {
	URL       string   `json:"url"`
	Handlers  []string `json:"handlers"`
	Capacity  int      `json:"capacity,omitempty"`   // requests at once; 0: 10
	TimeoutMS int64    `json:"timeout_ms,omitempty"` // of one request; 0: 60,000
	Secret    string   `json:"secret,omitempty"`     // of the signature; absent: one is made and given out once
}

func (s *Server) putService(w http.ResponseWriter, r *http.Request) error {
	m, err := s.pushes()
	if err != nil {
		return err
	}
	var in serviceBody
	if err := s.decodeJSON(body(r), &in); err != nil {
		return err
	}
	got, created, err := m.Put(r.Context(), push.Service{Name: r.PathValue("name"), URL: in.URL, Handlers: in.Handlers, Capacity: in.Capacity,
		TimeoutMS: in.TimeoutMS, Secret: in.Secret})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return s.reply(w, status, got)
}

type serviceList struct {
	Services []push.Service `json:"services"`
}

func (s *Server) listServices(w http.ResponseWriter, _ *http.Request) error {
	all, err := s.services()
	if err != nil {
		return err
	}
	return s.reply(w, http.StatusOK, serviceList{append([]push.Service{}, all...)})
}

func (s *Server) getService(w http.ResponseWriter, r *http.Request) error {
	all, err := s.services()
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].Name == r.PathValue("name") {
			return s.reply(w, http.StatusOK, all[i])
		}
	}
	return problem("service_not_found", "no push service "+quote(r.PathValue("name"))+" is set up, no worker serves one of that name, and none is paused")
}

func (s *Server) deleteService(w http.ResponseWriter, r *http.Request) error {
	m, err := s.pushes()
	if err != nil {
		return err
	}
	if err := m.Delete(r.Context(), r.PathValue("name")); err != nil {
		return noService(err, r)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func noService(err error, r *http.Request) error {
	if errors.Is(err, push.ErrNotFound) {
		return problem("service_not_found", "no push service "+quote(r.PathValue("name"))+" is set up")
	}
	return err
}
