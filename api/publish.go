package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/agnt5/agnt5d/access"
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/schedules"
)

// publication is what a worker publishes when it joins.
type publication struct {
	in        *wire.Register
	keep      bool     // a definition that its name has had changes nothing
	names     []string // of the workflows
	defs      map[string]*flow.Definition
	changes   map[string]bool // the workflows that become others by it
	schedules []*schedules.Definition
}

// readPublication reads and checks the definitions that a worker sends: every problem at once. A worker that comes back does not undo
// what was made current meanwhile.
func readPublication(in *wire.Register) (*publication, flow.Problems) {
	p := &publication{in: in, keep: in.Publish != wire.PublishCurrent || in.WorkerID != "", names: slices.Sorted(maps.Keys(in.Workflows)),
		defs: map[string]*flow.Definition{}, changes: map[string]bool{}}
	var bad flow.Problems
	add := func(what string, problems flow.Problems) {
		for _, one := range problems {
			one.Detail = what + ": " + one.Detail
			one.Line, one.Column = 0, 0 // an SDK wrote the text: nobody can look there
			bad = append(bad, one)
		}
	}
	for _, name := range p.names {
		def, problems := flow.Read(in.Workflows[name])
		bad = append(bad, flow.WorkflowName(name)...)
		add("workflow "+quote(name), problems)
		p.defs[name] = def
	}
	seen := map[string]bool{}
	for i, text := range in.Schedules {
		def, problems := schedules.Read(text)
		if len(problems) > 0 {
			add(fmt.Sprintf("schedule %d", i+1), problems)
			continue
		}
		if seen[def.Name] {
			bad = append(bad, flow.Problem{Code: flow.CodeNameDuplicate, Detail: "schedule " + quote(def.Name) + " is published twice"})
		}
		seen[def.Name] = true
		p.schedules = append(p.schedules, def)
	}
	return p, bad
}

// publish registers what a worker publishes, all of it or, when its token does not allow a part of it, nothing. It gives the workflows of
// which another version is current, and the schedules that stay as they are.
func (s *Server) publish(r *http.Request, p *publication) (others []wire.NotCurrent, left []wire.NotScheduled, err error) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	for _, name := range p.names {
		if p.changes[name], err = s.mayPublish(r, p, name); err != nil {
			return nil, nil, err
		}
	}
	for _, d := range p.schedules {
		if err := s.maySchedule(r, p, d); err != nil {
			return nil, nil, err
		}
	}
	for _, name := range p.names {
		v, err := s.publishOne(r, p, name)
		if err != nil {
			return nil, nil, fmt.Errorf("workflow %s: %w", quote(name), err)
		}
		if v.Version != v.Current {
			other := wire.NotCurrent{Workflow: name, Version: v.Version, Current: v.Current}
			s.log.Warn(other.String(), "service", p.in.ServiceName, "service_version", p.in.ServiceVersion, "workflow", name, "version", v.Version, "current", v.Current)
			others = append(others, other)
		}
	}
	for _, d := range p.schedules {
		why, err := s.eng.SchedulePublish(r.Context(), d, p.in.ServiceName, p.keep)
		if err != nil {
			return nil, nil, fmt.Errorf("schedule %s: %w", quote(d.Name), err)
		}
		if why != "" {
			one := wire.NotScheduled{Schedule: d.Name, Why: why}
			s.log.Warn(one.String(), "service", p.in.ServiceName, "service_version", p.in.ServiceVersion, "schedule", d.Name)
			left = append(left, one)
		}
	}
	return others, left, nil
}

// mayPublish says whether a worker may publish a workflow, and whether that would change anything. A worker's token is good for names
// that are new or that its own service published; it makes no older version current.
func (s *Server) mayPublish(r *http.Request, p *publication, name string) (changes bool, err error) {
	def := p.defs[name]
	version, current, err := s.eng.FindVersion(name, def)
	if err != nil {
		return false, err
	}
	changes = version == 0 || !p.keep && version != current
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
	case owner != "" && owner != p.in.ServiceName: // also when its versions were deleted
		why = "to change a workflow that the service " + quote(owner) + " publishes"
	default:
		return changes, nil
	}
	return false, s.refuseWorker(p.in, problem("forbidden", fmt.Sprintf("workflow %s: the access token %q has the scope %s; this needs the scope admin, %s", quote(name), t.Name, t.Scope, why)))
}

// maySchedule says whether a worker may publish a schedule. A worker's token starts no runs; its schedules start those of workflows that
// its own service publishes.
func (s *Server) maySchedule(r *http.Request, p *publication, d *schedules.Definition) error {
	t := callerOf(r.Context())
	if t == nil || t.Scope == access.Admin || p.changes[d.Workflow] || s.o.Access.Publisher(d.Workflow) == p.in.ServiceName {
		return nil
	}
	if stands, err := s.eng.ScheduleStands(d, p.in.ServiceName, p.keep); err != nil || stands {
		return err
	}
	return s.refuseWorker(p.in, problem("forbidden", fmt.Sprintf("schedule %s: the access token %q has the scope %s; this needs the scope admin, to start a workflow (%s) that the service %s does not publish",
		quote(d.Name), t.Name, t.Scope, quote(d.Workflow), quote(p.in.ServiceName))))
}

// publishOne registers one workflow for a worker, and notes whose it is.
func (s *Server) publishOne(r *http.Request, p *publication, name string) (engine.Version, error) {
	if t := callerOf(r.Context()); p.changes[name] || t == nil || t.Scope == access.Admin { // an admin hands a name over
		if err := s.publishedBy(r, name, p.in.ServiceName); err != nil {
			return engine.Version{}, err
		}
	}
	return s.eng.RegisterVersion(r.Context(), name, p.defs[name], p.keep)
}

// publishedBy notes which service publishes a workflow; "": none does any more.
func (s *Server) publishedBy(r *http.Request, name, service string) error {
	if s.o.Access == nil {
		return nil
	}
	return s.o.Access.SetPublisher(r.Context(), name, service)
}
