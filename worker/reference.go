package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Reference is a dependency whose output does not travel with the task, because those of all are large together.
type Reference struct {
	Step  string `json:"step"`
	Bytes int64  `json:"bytes"`
}

// Bounds of what a task carries.
const (
	// MaxInline is how many bytes of dependencies' outputs travel with a task of a worker that takes references.
	MaxInline = 1 << 20
	// MaxCarried is how many bytes of them a task carries, and how many of them are read before a handler that gets the whole task is
	// called.
	MaxCarried = 16 << 20
)

// OnRead sets who reads the output of a step that the task refers to. It is for those who run handlers.
func (t *Task) OnRead(fn func(ctx context.Context, step string) (json.RawMessage, error)) {
	t.read = fn
}

// Dependency gives the output of a dependency, wherever it is. ok is false when the step has no completed dependency of that name.
func (t *Task) Dependency(ctx context.Context, name string) (output json.RawMessage, ok bool, err error) {
	if out, here := t.Dependencies[name]; here {
		return out, true, nil
	}
	ref, refers := t.References[name]
	if !refers {
		return nil, false, nil
	}
	if t.read == nil {
		return nil, false, fmt.Errorf("the output of %s is only referred to, and nobody here can read it", name)
	}
	out, err := t.read(ctx, ref.Step)
	if err != nil {
		return nil, false, fmt.Errorf("output of %s: %w", name, err)
	}
	return out, true, nil
}

// fetch reads outputs that the task refers to, and puts them among the dependencies.
func (t *Task) fetch(ctx context.Context, names ...string) error {
	deps, refs := maps.Clone(t.Dependencies), maps.Clone(t.References)
	if deps == nil {
		deps = map[string]json.RawMessage{}
	}
	for _, name := range names {
		if _, refers := refs[name]; !refers {
			continue
		}
		out, _, err := t.Dependency(ctx, name)
		if err != nil {
			return err
		}
		deps[name] = out
		delete(refs, name)
	}
	t.Dependencies, t.References = deps, refs
	return nil
}

func (t *Task) fetchAll(ctx context.Context) error {
	if len(t.References) == 0 {
		return nil
	}
	return t.fetch(ctx, slices.Sorted(maps.Keys(t.References))...)
}

// Whole makes of a handler that gets the whole task one that finds all outputs in its Dependencies, as long as they are at most MaxCarried
// bytes together. Of more it reads what it needs: see Task.Dependency.
func Whole(fn Func) Func {
	return func(ctx context.Context, t *Task) (json.RawMessage, error) {
		bytes := int64(0)
		for _, ref := range t.References {
			bytes += ref.Bytes
		}
		if bytes <= MaxCarried {
			if err := t.fetchAll(ctx); err != nil {
				return nil, err
			}
		}
		return fn(ctx, t)
	}
}
