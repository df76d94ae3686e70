package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/archive"
	"github.com/agnt5/agnt5d/internal/rfc3339"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/journal"
)

// Workflows lists every workflow with its current version, by name.
func (e *Engine) Workflows(ctx context.Context) ([]Workflow, error) {
	out := []Workflow{}
	if !e.inspect(func(r *shard.Shard) {
		out = out[:0]
		for _, w := range r.Workflows() {
			if w.Current > 0 {
				one := workflow(w, w.Current)
				one.Numbers = nil
				out = append(out, one)
			}
		}
	}) {
		return nil, e.err()
	}
	slices.SortFunc(out, func(a, b Workflow) int { return cmp.Compare(a.Name, b.Name) })
	return out, ctx.Err()
}

// Workflow gives one version of a workflow with its definition; version 0 is the current one.
func (e *Engine) Workflow(ctx context.Context, name string, version uint32) (Workflow, error) {
	out, err := e.version(name, version)
	if err != nil {
		return out, err
	}
	body, err := e.j.DefinitionBody(out.Digest)
	out.Definition = body
	return out, e.ofDefinition(name, err)
}

// ofDefinition says of which workflow the text is damaged, and what to do.
func (e *Engine) ofDefinition(name string, err error) error {
	var d *journal.DamageError
	if !errors.As(err, &d) || d.Kind != "definition" {
		return err
	}
	e.damaged(d.Damage)
	return fmt.Errorf("workflow %q: %w", name, &archive.UndefinedError{Damage: *d})
}

// version gives one version of a workflow.
func (e *Engine) version(name string, version uint32) (out Workflow, err error) {
	if !e.inspect(func(r *shard.Shard) {
		out = Workflow{}
		w := r.Workflows()[name]
		if w == nil || w.Current == 0 || int(version) > len(w.Versions) || version != 0 && w.Versions[version-1].Digest == "" {
			return
		}
		out = workflow(w, cmp.Or(version, w.Current))
	}) {
		return out, e.err()
	}
	if out.Name == "" {
		return out, e.noVersion(name, version)
	}
	return out, nil
}

// noVersion is ErrWorkflowNotFound with the names or versions that would have been right.
func (e *Engine) noVersion(name string, version uint32) error {
	var known []string
	var has []uint32
	e.inspect(func(r *shard.Shard) {
		known, has = nil, nil
		for _, w := range r.Workflows() {
			if w.Current > 0 {
				known = append(known, w.Name)
			}
		}
		if w := r.Workflows()[name]; w != nil && w.Current > 0 {
			has = thereAre(w)
		}
	})
	if len(has) == 0 {
		return archive.NoWorkflow(name, known)
	}
	return &versionError{fmt.Sprintf("the workflow %q has no version %d; it has %s", name, version, ranges(has))}
}

// versionError is ErrWorkflowNotFound where the workflow is there, and the version is not.
type versionError struct{ text string }

func (e *versionError) Error() string { return e.text }
func (e *versionError) Unwrap() error { return ErrWorkflowNotFound }

// ranges writes ascending numbers: "1 to 4, 7".
func ranges(all []uint32) string {
	var parts []string
	for i := 0; i < len(all); {
		j := i
		for j+1 < len(all) && all[j+1] == all[j]+1 {
			j++
		}
		switch {
		case j == i:
			parts = append(parts, fmt.Sprint(all[i]))
		case j == i+1:
			parts = append(parts, fmt.Sprint(all[i]), fmt.Sprint(all[j]))
		default:
			parts = append(parts, fmt.Sprintf("%d to %d", all[i], all[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}

// DeleteWorkflow deletes a version of a workflow that no run uses, open or ended, and that is not the current one; or (version 0) the
// workflow with all of its versions, when no run of it is left. ErrWorkflowInUse: there are such runs; ErrVersionCurrent. The number of a
// deleted version is not used again, and a definition that is registered again is a new version.
func (e *Engine) DeleteWorkflow(ctx context.Context, name string, version uint32) error {
	err := ErrWorkflowInUse
	for range 3 { // a run may be started meanwhile
		if _, err := e.version(name, version); err != nil {
			return err
		}
		var started []uint64
		if started, err = e.started(ctx, name); err != nil {
			return err
		}
		run, err := e.userOf(ctx, name, version)
		switch {
		case err != nil:
			return err
		case run != "":
			return inUse(name, version, run)
		}
		err = callErr(ctx, e, func(done func(error)) shard.Input {
			return &shard.Undefine{By: byOf(ctx), Name: name, Version: version, Started: started, Reply: done}
		})
		switch {
		case errors.Is(err, ErrVersionCurrent):
			return fmt.Errorf("workflow %q: %w: version %d", name, err, version)
		case !errors.Is(err, ErrWorkflowInUse):
			return err
		}
	}
	return fmt.Errorf("workflow %q: %w: runs of it are started all the time", name, err)
}

func inUse(name string, version uint32, run string) error {
	what := ""
	if version != 0 {
		what = fmt.Sprintf(" version %d", version)
	}
	return fmt.Errorf("workflow %q%s: %w: run %q is one", name, what, ErrWorkflowInUse, run)
}

// started gives how many runs were started with each version, when all of them can be found in the journal.
func (e *Engine) started(ctx context.Context, name string) ([]uint64, error) {
	type answer struct {
		started []uint64
		err     error
	}
	a, err := call(ctx, e, func(done func(answer)) shard.Input {
		return &shard.Usage{Name: name, Reply: func(started []uint64, err error) { done(answer{started, err}) }}
	})
	return a.started, cmp.Or(err, a.err)
}

// userOf gives a run of a version, or (0) of any, "" when there is none. It looks at every run of the workflow, page by page.
func (e *Engine) userOf(ctx context.Context, name string, version uint32) (string, error) {
	f := journal.HeadFilter{Workflow: name, Limit: 1, Look: 10_000}
	if version != 0 {
		f.Keep = func(h *journal.Head) bool { return h.Version == version }
	}
	for {
		page, err := e.j.Heads(f)
		switch {
		case err != nil:
			return "", err
		case len(page.Heads) > 0:
			return page.Heads[0].ID, nil
		case page.Next == (journal.HeadMark{}):
			return "", ctx.Err()
		case ctx.Err() != nil:
			return "", ctx.Err()
		}
		f.After = page.Next
	}
}

// Graph gives the graph of one version of a workflow, which is shared and must not be changed; version 0 is the current one.
func (e *Engine) Graph(ctx context.Context, name string, version uint32) (Workflow, *flow.Graph, error) {
	w, err := e.version(name, version)
	if err != nil {
		return w, nil, err
	}
	g, err := e.archive.Graph(flow.Digest(w.Digest))
	return w, g, errors.Join(e.ofDefinition(name, err), ctx.Err())
}

// Digests gives the digests of a workflow's versions that are there, or of one of them.
func (e *Engine) Digests(name string, version uint32) ([]string, error) {
	var out []string
	if !e.inspect(func(r *shard.Shard) {
		out = nil
		if w := r.Workflows()[name]; w != nil {
			for _, v := range w.Versions {
				if v.Digest != "" && (version == 0 || v.Version == version) {
					out = append(out, string(v.Digest))
				}
			}
		}
	}) {
		return nil, e.err()
	}
	return out, nil
}

// FindVersion says which version of a workflow a definition is, 0: none yet, and which one is current, 0: there is no such workflow.
func (e *Engine) FindVersion(name string, def *flow.Definition) (version, current uint32, err error) {
	body, err := flow.Canonical(def)
	if err != nil {
		return 0, 0, err
	}
	digest := flow.DigestOf(body)
	if !e.inspect(func(r *shard.Shard) {
		version, current = 0, 0
		if w := r.Workflows()[name]; w != nil {
			current = w.Current
			for _, v := range w.Versions {
				if v.Digest == digest {
					version = v.Version
				}
			}
		}
	}) {
		return 0, 0, e.err()
	}
	return version, current, nil
}

// thereAre gives the numbers of the versions that were not deleted.
func thereAre(w *shard.Workflow) (numbers []uint32) {
	for i := range w.Versions {
		if w.Versions[i].Digest != "" {
			numbers = append(numbers, w.Versions[i].Version)
		}
	}
	return numbers
}

func workflow(w *shard.Workflow, version uint32) Workflow {
	v, there := w.Versions[version-1], thereAre(w)
	return Workflow{Name: w.Name, Version: version, Current: w.Current, Digest: string(v.Digest), CreatedAt: rfc3339.Format(v.At), Versions: len(there), Numbers: there}
}
