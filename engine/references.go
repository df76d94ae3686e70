package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/agnt5/agnt5d/internal/failure"
	"github.com/agnt5/agnt5d/internal/shard"
	"github.com/agnt5/agnt5d/replay"
	"github.com/agnt5/agnt5d/worker"
)

// tooLargeError says that a task carries too much for who gets it.
type tooLargeError struct{ bytes uint64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the task with its dependencies is %d bytes, the limit is %d for a worker that does not take references; a newer SDK does, or name in \"after\" what is only waited for", e.bytes, replay.MaxTask)
}

// fillDependencies puts the outputs of the dependencies into a task, or, where they are large together, refers to them: to the largest
// ones, until what is left is small. In this process all that is not too much is carried: it costs no more than to read it later.
func (e *Engine) fillDependencies(spec *shard.Spec, t *worker.Task) (err error) {
	size := uint64(0)
	for _, d := range spec.Deps {
		size += uint64(d.Output.Len)
	}
	most := uint64(replay.MaxTask)
	if spec.Refers && !spec.Slot.Local {
		most = worker.MaxInline
	}
	var refers map[string]bool
	if size > most && spec.Refers {
		large := slices.Clone(spec.Deps)
		slices.SortStableFunc(large, func(a, b shard.Dep) int { return int(b.Output.Len) - int(a.Output.Len) })
		refers, t.References = map[string]bool{}, map[string]worker.Reference{}
		for left := size; left > worker.MaxInline; large = large[1:] {
			d := large[0]
			left -= uint64(d.Output.Len)
			refers[d.Name] = true
			t.References[d.Name] = worker.Reference{Step: d.Name, Bytes: int64(d.Output.Len)}
		}
		e.readReferences(spec, t)
	} else if all := size + uint64(len(t.WorkflowInput)+len(t.InputData)+len(t.Input)); all > replay.MaxTask {
		return &tooLargeError{all}
	}
	t.Dependencies = make(map[string]json.RawMessage, len(spec.Deps)-len(refers))
	for _, d := range spec.Deps {
		if refers[d.Name] {
			continue
		}
		if t.Dependencies[d.Name], err = e.archive.Payload(d.Output); err != nil {
			return fmt.Errorf("output of %s: %w", d.Name, err)
		}
	}
	return nil
}

// readReferences lets a handler in this process read from the journal what its task refers to.
func (e *Engine) readReferences(spec *shard.Spec, t *worker.Task) {
	if !spec.Slot.Local {
		return
	}
	at := make(map[string]replay.Payload, len(t.References))
	for _, d := range spec.Deps {
		at[d.Name] = d.Output
	}
	t.OnRead(func(_ context.Context, step string) (json.RawMessage, error) { return e.archive.Payload(at[step]) })
}

// unfilled is what becomes of an attempt whose task cannot be made.
func unfilled(err error) *worker.Outcome {
	out := unreadable(err)
	if _, large := err.(*tooLargeError); large {
		out.Error.Code = failure.TaskTooLarge
	}
	return out
}
