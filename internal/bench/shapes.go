package bench

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/worker"
)

// largeBytes is how large an output of payload is.
const largeBytes = 1 << 20

// largeOutput is one JSON text of that size.
var largeOutput = func() json.RawMessage {
	b := make([]byte, largeBytes)
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	b[0], b[largeBytes-1] = '"', '"'
	return b
}()

func large(context.Context, *worker.Task) (json.RawMessage, error) { return largeOutput, nil }

// hotkey is chains whose steps all want one object key: each gives it to the next in line.
func hotkey(ctx context.Context, o *Options) (*Result, error) {
	def := Chain()
	for i := range def.Steps {
		def.Steps[i].ObjectKeys = []string{"hot"}
	}
	return shape(ctx, o, "hotkey", def)
}

// payload is chains in which each step gives a large output, which the next one gets. The last gives nothing: the run has no output.
func payload(ctx context.Context, o *Options) (*Result, error) {
	def := Chain()
	for i := range def.Steps[:9] {
		def.Steps[i].Handler = "large"
	}
	r, err := shape(ctx, o, "payload", def)
	if err == nil {
		r.MBPerSecond = r.StepsPerSecond * 9 / 10 * largeBytes / 1e6
	}
	return r, err
}

func shape(ctx context.Context, o *Options, name string, def flow.Definition) (*Result, error) {
	t, err := o.target(name)
	if err != nil {
		return nil, err
	}
	defer t.close()
	if e, ok := t.(*embedded); ok { // as the daemon does; else each run is read back whole
		e.show = []engine.StatusOption{engine.NoSteps()}
	}
	r, err := steps(ctx, o, t, name, def, max(o.InFlight, 1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
