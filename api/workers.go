package api

import (
	"context"
	"fmt"
	"math"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/push"
	"github.com/agnt5/agnt5d/worker"
)

// minPollBody is the least that one poll may bring; it grows with the payloads that are allowed. An SDK sends fewer outcomes at
// a time when they are large.
const minPollBody = 32 << 20

// maxWaitMS is the longest wait that a poll may ask for.
const maxWaitMS = 24 * 3600 * 1000

// receive reads a body that may be JSON or msgpack.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, v any) error {
	b := body(r)
	media := wire.JSON
	if ct := r.Header.Get("Content-Type"); ct != "" {
		m, _, err := mime.ParseMediaType(ct)
		if err == nil && (m == wire.Msgpack || m == "application/x-msgpack" || m == "application/vnd.msgpack") {
			media = wire.Msgpack
		}
	}
	if media == wire.Msgpack {
		if err := wire.Decode(b, media, v); err != nil {
			return problem("invalid_request", err.Error())
		}
		return nil
	}
	return s.decodeJSON(b, v)
}

// send answers in the type that the request accepts: msgpack if it names it, else JSON.
func (s *Server) send(w http.ResponseWriter, r *http.Request, status int, v any) error {
	media := wire.JSON
	if strings.Contains(r.Header.Get("Accept"), "msgpack") {
		media = wire.Msgpack
	}
	room := s.rooms.Get().(*[]byte)
	defer s.rooms.Put(room)
	b, err := wire.Encode((*room)[:0], media, v)
	if err != nil {
		return err
	}
	if cap(b) <= 4<<20 {
		*room = b
	}
	w.Header().Set("Content-Type", media)
	s.write(w, status, b)
	return nil
}

func (s *Server) joinWorker(w http.ResponseWriter, r *http.Request) error {
	if s.stopping.Load() {
		return problem("shutting_down", "")
	}
	var in wire.Register
	if err := s.receive(w, r, &in); err != nil {
		return err
	}
	if strings.HasPrefix(in.WorkerID, push.SessionPrefix) {
		return problem("invalid_request", "worker_id: "+quote(in.WorkerID)+" is a push service's")
	}
	if in.Publish != "" && in.Publish != wire.PublishCurrent {
		return problem("invalid_request", "publish: "+quote(in.Publish)+`, want "current", or leave it out`)
	}
	if err := flow.ValidName(in.ServiceName); err != nil {
		return problem("invalid_request", "service_name: "+err.Error())
	}
	if t := callerOf(r.Context()); t != nil && !t.Scope.Serves(in.ServiceName) {
		return s.refuseWorker(&in, lacks(t, "worker:"+in.ServiceName))
	}
	pub, bad := readPublication(&in)
	if len(bad) > 0 {
		return bad
	}
	req := engine.JoinRequest{WorkerID: in.WorkerID, Service: in.ServiceName, Version: in.ServiceVersion, Host: in.Host, PID: in.PID,
		Handlers: in.Handlers, Capacity: in.Capacity, Tokens: in.Tokens, References: in.References}
	if err := req.Check(); err != nil { // before anything is published
		return err
	}
	others, left, err := s.publish(r, pub)
	if err != nil {
		return err
	}
	got, err := s.eng.Join(r.Context(), req)
	if err != nil {
		return err
	}
	if in.WorkerID != "" && got.WorkerID != in.WorkerID {
		s.log.Warn("a worker gets a new id: the one that it has is a worker's of another service", "service", in.ServiceName, "asked", in.WorkerID, "worker", got.WorkerID, "by", engine.By(r.Context()))
	}
	return s.send(w, r, http.StatusCreated, &wire.Registered{WorkerID: got.WorkerID, HeartbeatMS: got.Heartbeat.Milliseconds(),
		LeaseMS: got.Lease.Milliseconds(), MaxWaitMS: got.MaxWait.Milliseconds(), Lost: orEmpty(got.Lost), NotCurrent: others, LogBytes: worker.MaxLog, NotScheduled: left})
}

// refuseWorker says in the log that a worker may not do what it wants: whoever runs it looks there.
func (s *Server) refuseWorker(in *wire.Register, err error) error {
	s.log.Warn("a worker was refused", "service", in.ServiceName, "service_version", in.ServiceVersion, "why", err.Error())
	return err
}

// notPush refuses the session of a push service, which is nobody's but the daemon's.
func notPush(r *http.Request) error {
	if strings.HasPrefix(r.PathValue("id"), push.SessionPrefix) {
		return fmt.Errorf("%q is a push service: %w", r.PathValue("id"), engine.ErrWorkerNotFound)
	}
	return nil
}

// known says whether there is such a worker: nobody else's body is worth reading.
func (s *Server) known(r *http.Request) error {
	if err := notPush(r); err != nil {
		return err
	}
	return foreignSession(r, r.PathValue("id"), s.eng.KnowsWorker(r.Context(), r.PathValue("id")))
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (s *Server) pollWorker(w http.ResponseWriter, r *http.Request) error {
	if err := notPush(r); err != nil {
		return err
	}
	var in wire.Poll
	if err := s.receive(w, r, &in); err != nil {
		return err
	}
	ctx, cancel := s.context(r)
	defer cancel()
	got, err := s.poll(w, ctx, r, &in)
	switch {
	case err != nil:
		return err
	case got == nil:
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.send(w, r, http.StatusOK, got)
}

// poll brings a worker's outcomes and takes tasks for it; nil: there is nothing. waits ends when nobody waits for tasks any more.
func (s *Server) poll(w http.ResponseWriter, waits context.Context, r *http.Request, in *wire.Poll) (*wire.Polled, error) {
	if in.Seq > math.MaxInt64 {
		return nil, problem("invalid_request", fmt.Sprintf("seq: %d, want 0 to %d", in.Seq, uint64(math.MaxInt64)))
	}
	if in.WaitMS < 0 || in.WaitMS > maxWaitMS {
		return nil, problem("invalid_request", fmt.Sprintf("wait_ms: %d, want 0 to %d; a poll waits %d at most", in.WaitMS, maxWaitMS, engine.MaxWait.Milliseconds()))
	}
	ctx := waits
	switch {
	case len(in.Outcomes) > 0: // they are recorded whether the daemon stops or not
		ctx = r.Context()
	case in.WaitMS > 0:
		s.waits(w)
	}
	got, err := s.eng.Poll(ctx, r.PathValue("id"), engine.PollRequest{Seq: in.Seq, Max: in.Max,
		Wait: time.Duration(in.WaitMS) * time.Millisecond, Outcomes: in.Outcomes})
	switch {
	case err != nil && s.stopping.Load() && ctx.Err() != nil && r.Context().Err() == nil:
		return nil, problem("shutting_down", "")
	case err != nil:
		return nil, foreignSession(r, r.PathValue("id"), err)
	case len(got.Tasks) == 0 && len(got.Results) == 0 && len(got.Cancelled) == 0:
		return nil, nil
	}
	return &wire.Polled{Tasks: got.Tasks, Results: got.Results, Cancelled: got.Cancelled}, nil
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) error {
	if err := notPush(r); err != nil {
		return err
	}
	var in wire.Heartbeat
	if err := s.receive(w, r, &in); err != nil {
		return err
	}
	beats := make([]engine.Beat, len(in.Tokens))
	for i, t := range in.Tokens {
		beats[i] = engine.Beat{Token: t.Token, Own: t.Details != nil, Details: t.Details, Log: t.Log}
	}
	gone, err := s.eng.Heartbeat(r.Context(), r.PathValue("id"), beats)
	if err != nil {
		return foreignSession(r, r.PathValue("id"), err)
	}
	return s.send(w, r, http.StatusOK, &wire.Beaten{Gone: orEmpty(gone)})
}

func (s *Server) leaveWorker(w http.ResponseWriter, r *http.Request) error {
	if err := notPush(r); err != nil {
		return err
	}
	if err := s.eng.Leave(r.Context(), r.PathValue("id")); err != nil {
		return foreignSession(r, r.PathValue("id"), err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type workerList struct {
	Workers []engine.Worker `json:"workers"`
}

func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request) error {
	all, err := s.eng.Workers(r.Context())
	if err != nil {
		return err
	}
	for i := range all {
		all[i].Push = strings.HasPrefix(all[i].WorkerID, push.SessionPrefix)
	}
	return s.reply(w, http.StatusOK, workerList{all})
}
