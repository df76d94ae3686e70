package push

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/internal/sealed"
	"github.com/agnt5/agnt5d/seal"
)

// vault seals the secrets of services: with the payload key, or else with a key in a file beside the journal, which is made for the
// first secret and belongs to no copy of the journal.
type vault struct {
	codec engine.Codec // the payload key; nil: there is none
	path  string       // of the file; "": the journal is not kept in one
	log   *slog.Logger
	told  sync.Once // of the file
}

// tell says once which key file is used: whoever keeps the journal must keep it, too.
func (v *vault) tell(made bool) {
	v.told.Do(func() {
		text := "the secrets of push services are sealed with the key in a file beside the journal, which no copy of the journal has"
		if made {
			text = "a key file was made beside the journal: it seals the secrets of push services, and no copy of the journal has it"
		}
		v.log.Info(text, "file", v.path)
	})
}

// row is a service as it stands in the journal.
type row struct {
	Service
	Sealed []byte `json:"sealed_secret,omitempty"`
	By     string `json:"sealed_by,omitempty"` // what seals it: byPayloadKey or byFile
}

const (
	byPayloadKey = "payload_key"
	byFile       = "file"
)

// errNoKey is why a secret cannot be read.
var errNoKey = errors.New("its secret cannot be read, because the key that sealed it is not here; set the service up anew, with a secret or without")

// encode makes the row of a service, its secret sealed.
func (v *vault) encode(s Service) ([]byte, error) {
	r := row{Service: s, By: byPayloadKey}
	r.Problem = ""
	codec := v.codec
	if codec == nil && v.path == "" {
		return json.Marshal(Service(s))
	}
	if codec == nil {
		keys, made, err := seal.ReadOrMake(v.path)
		if err != nil {
			return nil, fmt.Errorf("push: the key for secrets: %w", err)
		}
		v.tell(made)
		codec, r.By = keys, byFile
	}
	r.Secret, r.Sealed = "", sealed.Seal(codec, []byte(s.Secret), []byte(rowPrefix+s.Name))
	return json.Marshal(r)
}

// decode reads the row of a service. stale: it should be written anew, for its secret stands there openly or under the other key.
func (v *vault) decode(b []byte) (s Service, stale bool, err error) {
	var r row
	if err := json.Unmarshal(b, &r); err != nil {
		return s, false, err
	}
	s = r.Service
	codec := v.codec
	switch {
	case r.Sealed == nil:
		return s, v.codec != nil || v.path != "", nil
	case r.By == byFile:
		keys, err := seal.Read(v.path)
		if errors.Is(err, fs.ErrNotExist) {
			s.Problem = errNoKey.Error()
			return s, false, nil
		}
		if err != nil {
			return s, false, fmt.Errorf("push: the key for secrets: %w", err)
		}
		v.tell(false)
		codec, stale = keys, v.codec != nil
	}
	if codec != nil {
		secret, err := sealed.Open(codec, r.Sealed, []byte(rowPrefix+s.Name))
		if err == nil {
			s.Secret = string(secret)
			return s, stale, nil
		}
	}
	s.Problem = errNoKey.Error()
	return s, false, nil
}
