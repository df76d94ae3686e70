package api

import (
	"net/http"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/cursor"
)

type objectList struct {
	Objects    []engine.Object `json:"objects"`
	NextCursor string          `json:"next_cursor,omitempty"` // absent: there are no more
}

func (s *Server) listObjects(w http.ResponseWriter, r *http.Request) error {
	get := r.URL.Query().Get
	n := number(get("limit"), defaultPage)
	place, err := placeIn(r, cursor.Objects)
	if err != nil {
		return err
	}
	all, err := s.eng.Objects(r.Context(), get("prefix"), place, n+1)
	if err != nil {
		return err
	}
	out := objectList{Objects: all}
	if len(all) > n {
		out.Objects = all[:n]
		out.NextCursor = cursor.To(cursor.Objects, all[n-1].Key)
	}
	return s.reply(w, http.StatusOK, out)
}

func (s *Server) getObject(w http.ResponseWriter, r *http.Request) error {
	o, err := s.eng.Object(r.Context(), r.PathValue("key"))
	if err != nil {
		return err
	}
	if unknown(o) {
		return problem("object_not_found", "nothing is known of object "+quote(o.Key))
	}
	return s.reply(w, http.StatusOK, o)
}

// unknown says that nothing is known of an object.
func unknown(o engine.Object) bool { return o.Version == 0 && o.Holder == nil && len(o.Queue) == 0 }

func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request) error {
	o, err := s.eng.Object(r.Context(), r.PathValue("key"))
	if err != nil || !unknown(o) { // of one that is not there nothing is recorded; damage is deleted, too
		err = s.eng.DeleteObject(r.Context(), r.PathValue("key"))
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
