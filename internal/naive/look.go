package naive

// Model answers single questions about runs of a definition.
type Model struct{ g *graph }

// Parse gives the model of a definition.
func Parse(definition []byte) (*Model, error) {
	g, err := newGraph(definition)
	return &Model{g}, err
}

// Moment is how a run stands.
type Moment struct {
	Steps   map[string]string // states
	Reasons map[string]string // why steps were skipped
	Caught  map[string]bool   // failures that a branch has taken
	Finally bool              // the steps of finally have begun
	Fate    string            // of the run, then
}

// What may become of a step.
const (
	Wait  = ""
	Start = "start" // if its condition says so
	Skip  = "skip"
)

// Look says what may become of a step that has not been ready yet, and of a skip the reason.
func (m *Model) Look(step string, at Moment) (what, reason string) {
	r := m.at(at)
	v := r.verdict(r.g.by[step])
	return v.what, v.why
}

// Condition says what the step's condition comes to; outputs and the input are null in it.
func (m *Model) Condition(step string, at Moment) (bool, error) {
	r := m.at(at)
	return r.condition(r.g.by[step])
}

func (m *Model) at(at Moment) *Run {
	r := &Run{g: m.g, State: Running, ending: ending{left: set{}}, Steps: at.Steps, Reasons: at.Reasons, outputs: map[string]any{}, caught: at.Caught, hurt: set{}}
	if at.Finally {
		r.g, r.State, r.Fate = m.g.last, Finishing, at.Fate
	}
	for name, why := range at.Reasons {
		r.hurt[name] = why == "failure"
	}
	return r
}
