package api

import "net/http"

// tagBody says what becomes of a run's tags.
type tagBody struct {
	Tags map[string]*string `json:"tags"` // by name: the value that it has from now on, or null: it is taken away
}

type tagAnswer struct {
	WorkflowID string            `json:"workflow_id"`
	Tags       map[string]string `json:"tags"` // all that the run has
}

// tagRun changes tags of a run, which may have ended.
func (s *Server) tagRun(w http.ResponseWriter, r *http.Request) error {
	var in tagBody
	if err := s.decode(r, &in); err != nil {
		return err
	}
	set, id := map[string]string{}, r.PathValue("id")
	var remove []string
	for name, value := range in.Tags {
		if value == nil {
			remove = append(remove, name)
		} else {
			set[name] = *value
		}
	}
	tags, err := s.eng.Tag(r.Context(), id, set, remove...)
	if err != nil {
		return err
	}
	if tags == nil {
		tags = map[string]string{}
	}
	return s.reply(w, http.StatusOK, tagAnswer{id, tags})
}
