package api

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/diagram"
	"github.com/agnt5/agnt5d/model"
)

// workflowGraph answers with the layout of a workflow's graph.
func (s *Server) workflowGraph(w http.ResponseWriter, r *http.Request) error {
	q, name := r.URL.Query(), r.PathValue("name")
	version := uint32(number(q.Get("version"), 0))
	fold := number(q.Get("fold"), -1)
	wf, g, err := s.eng.Graph(r.Context(), name, version)
	if errors.Is(err, engine.ErrNewerRelease) {
		return fmt.Errorf("workflow %s: %w", quote(name), err)
	}
	if err != nil {
		return err
	}
	key := layoutKey{g.Digest, -1}
	if fold >= 0 && len(g.Def.Steps) > fold {
		key.fold = fold
	}
	tag := fmt.Sprintf(`"%s-%d.%d"`, key.digest, wf.Version, key.fold)
	w.Header().Set("ETag", tag)
	if knows(splitComma(r.Header.Get("If-None-Match")), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	out := *s.layouts.of(key, g)
	out.Name, out.Version, out.Digest = wf.Name, wf.Version, wf.Digest
	return s.reply(w, http.StatusOK, out)
}

// layoutKey says of what a layout is.
type layoutKey struct {
	digest flow.Digest
	fold   int // below 0: nothing was folded
}

// layouts are the graphs that were laid out lately: a definition never changes.
type layouts struct {
	mu    sync.Mutex
	made  map[layoutKey]*model.Graph
	nodes int // of all of them
}

// layoutsKept is how many nodes and edges the layouts that are kept may have together.
const layoutsKept = 200_000

// of gives a layout, without the names of its workflow.
func (l *layouts) of(key layoutKey, g *flow.Graph) *model.Graph {
	l.mu.Lock()
	out := l.made[key]
	l.mu.Unlock()
	if out != nil {
		return out
	}
	d := diagram.Of(g)
	if key.fold >= 0 {
		d = d.Fold(key.fold, nil)
	}
	out = d.Layout().Model()
	l.mu.Lock()
	defer l.mu.Unlock()
	if size := len(out.Nodes) + len(out.Edges); l.made == nil || l.nodes+size > layoutsKept {
		l.made, l.nodes = map[layoutKey]*model.Graph{key: out}, size
	} else if l.made[key] == nil {
		l.made[key] = out
		l.nodes += size
	}
	return out
}
