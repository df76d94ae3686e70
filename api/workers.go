package api

import (
	"fmt"
	"maps"
	"math"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/agnt5/agnt5d/access"
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
	var bad flow.Problems
	defs := map[string]*flow.Definition{}
	for _, name := range slices.Sorted(maps.Keys(in.Workflows)) {
		def, problems := flow.Read(in.Workflows[name])
		bad = append(bad, flow.WorkflowName(name)...)
		for _, p := range problems {
			p.Detail = fmt.Sprintf("workflow %s: %s", quote(name), p.Detail)
			p.Line, p.Column = 0, 0 // an SDK wrote the text: nobody can look there
			bad = append(bad, p)
		}
		defs[name] = def
	}
	if len(bad) > 0 {
		return bad
	}
	req := engine.JoinRequest{WorkerID: in.WorkerID, Service: in.ServiceName, Version: in.ServiceVersion, Host: in.Host, PID: in.PID,
		Handlers: in.Handlers, Capacity: in.Capacity, Tokens: in.Tokens}
	if err := req.Check(); err != nil { // before anything is published
		return err
	}
	others, err := s.publish(r, &in, defs)
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
		LeaseMS: got.Lease.Milliseconds(), MaxWaitMS: got.MaxWait.Milliseconds(), Lost: orEmpty(got.Lost), NotCurrent: others, LogBytes: worker.MaxLog})
}

// publish registers what a worker publishes, all of it or, when its token does not allow one of them, nothing. A definition that its
// name has had changes nothing, unless the worker opens its session and wants what it publishes to be current: one that comes back
// does not undo what was made current meanwhile. It gives those of which another version is current.
func (s *Server) publish(r *http.Request, in *wire.Register, defs map[string]*flow.Definition) (others []wire.NotCurrent, err error) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	keep := in.Publish != wire.PublishCurrent || in.WorkerID != ""
	names := slices.Sorted(maps.Keys(defs))
	changes := make([]bool, len(names))
	for i, name := range names {
		if changes[i], err = s.mayPublish(r, in, name, defs[name], keep); err != nil {
			return nil, err
		}
	}
	for i, name := range names {
		v, err := s.publishOne(r, in, name, defs[name], keep, changes[i])
		if err != nil {
			return nil, fmt.Errorf("workflow %s: %w", quote(name), err)
		}
		if v.Version != v.Current {
			other := wire.NotCurrent{Workflow: name, Version: v.Version, Current: v.Current}
			s.log.Warn(other.String(), "service", in.ServiceName, "service_version", in.ServiceVersion, "workflow", name, "version", v.Version, "current", v.Current)
			others = append(others, other)
		}
	}
	return others, nil
}

// mayPublish says whether a worker may publish a workflow, and whether that would change anything. A worker's token is good for names
// that are new or that its own service published; it makes no older version current.
func (s *Server) mayPublish(r *http.Request, in *wire.Register, name string, def *flow.Definition, keep bool) (changes bool, err error) {
	version, current, err := s.eng.FindVersion(name, def)
	if err != nil {
		return false, err
	}
	changes = version == 0 || !keep && version != current
	t := callerOf(r.Context())
	if t == nil || t.Scope == access.Admin || !changes {
		return changes, nil
	}
	why := ""
	deleted := s.o.Access.Deleted(name)
	body, err := flow.Canonical(def)
	if err != nil {
		return false, err
	}
	switch owner := s.o.Access.Publisher(name); {
	case version == 0 && slices.Contains(deleted, string(flow.DigestOf(body))):
		why = "to bring back a version that was deleted"
	case version == 0 && current == 0 && owner == "" && len(deleted) > 0:
		why = "to publish a workflow that was deleted"
	case version != 0:
		why = "to make an older version current"
	case current != 0 && owner == "":
		why = "to change a workflow that no worker publishes"
	case owner != "" && owner != in.ServiceName: // also when its versions were deleted
		why = "to change a workflow that the service " + quote(owner) + " publishes"
	default:
		return changes, nil
	}
	return false, s.refuseWorker(in, problem("forbidden", fmt.Sprintf("workflow %s: the access token %q has the scope %s; this needs the scope admin, %s", quote(name), t.Name, t.Scope, why)))
}

// publishOne registers one workflow for a worker, and notes whose it is.
func (s *Server) publishOne(r *http.Request, in *wire.Register, name string, def *flow.Definition, keep, changes bool) (engine.Version, error) {
	if t := callerOf(r.Context()); changes || t == nil || t.Scope == access.Admin { // an admin hands a name over
		if err := s.publishedBy(r, name, in.ServiceName); err != nil {
			return engine.Version{}, err
		}
	}
	return s.eng.RegisterVersion(r.Context(), name, def, keep)
}

// publishedBy notes which service publishes a workflow; "": none does any more.
func (s *Server) publishedBy(r *http.Request, name, service string) error {
	if s.o.Access == nil {
		return nil
	}
	return s.o.Access.SetPublisher(r.Context(), name, service)
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
	if in.Seq > math.MaxInt64 {
		return problem("invalid_request", fmt.Sprintf("seq: %d, want 0 to %d", in.Seq, uint64(math.MaxInt64)))
	}
	if in.WaitMS < 0 || in.WaitMS > maxWaitMS {
		return problem("invalid_request", fmt.Sprintf("wait_ms: %d, want 0 to %d; a poll waits %d at most", in.WaitMS, maxWaitMS, engine.MaxWait.Milliseconds()))
	}
	ctx, cancel := s.context(r)
	defer cancel()
	if in.WaitMS > 0 && len(in.Outcomes) == 0 {
		s.waits(w)
	}
	if len(in.Outcomes) > 0 { // they are recorded whether the daemon stops or not
		ctx = r.Context()
	}
	got, err := s.eng.Poll(ctx, r.PathValue("id"), engine.PollRequest{Seq: in.Seq, Max: in.Max,
		Wait: time.Duration(in.WaitMS) * time.Millisecond, Outcomes: in.Outcomes})
	if err != nil {
		if s.stopping.Load() && ctx.Err() != nil && r.Context().Err() == nil {
			return problem("shutting_down", "")
		}
		return foreignSession(r, r.PathValue("id"), err)
	}
	if len(got.Tasks) == 0 && len(got.Results) == 0 && len(got.Cancelled) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return s.send(w, r, http.StatusOK, &wire.Polled{Tasks: got.Tasks, Results: got.Results, Cancelled: got.Cancelled})
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
