package engine_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/seal"
	"github.com/agnt5/agnt5d/worker"
)

func keysOf(t *testing.T, ids ...string) *seal.Keys {
	t.Helper()
	text := ""
	for _, id := range ids {
		text += id + " " + base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("%032s", id))) + "\n"
	}
	k, err := seal.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Payloads are sealed at rest: input, output, signal, object state, in records, snapshots and rows. Names are not. Nobody opens the
// journal without the key, or with another; a newer key seals, and what an older one sealed is still read.
func TestPayloadsAtRestAreSealed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	const planted = "PLANTED"
	open := func(o engine.Options) *engine.Engine {
		t.Helper()
		eng, err := engine.Open(path, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := engine.HandleRaw(eng, "svc", "h", func(ctx context.Context, task *worker.Task) (json.RawMessage, error) {
			if !strings.Contains(string(task.WorkflowInput), planted) {
				t.Errorf("the handler got %s", task.WorkflowInput)
			}
			worker.Log(ctx).Info("log-" + planted)
			if err := task.SetObject("key", json.RawMessage(`"object-`+planted+`"`)); err != nil {
				t.Error(err)
			}
			return json.RawMessage(`"output-` + planted + `"`), nil
		}); err != nil {
			t.Fatal(err)
		}
		return eng
	}
	clean := func() {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(b, []byte(planted)); i >= 0 {
			t.Errorf("a payload stands in the journal: %q", b[max(0, i-40):i+20])
		}
		if !bytes.Contains(b, []byte("visible-name")) {
			t.Error("names are sealed, too")
		}
	}
	def := flow.Definition{Steps: []flow.Step{
		flow.Task("a", "svc", "h", flow.Keys("key")),
		flow.WaitSignal("w", "go", flow.After("a")),
		flow.Task("b", "svc", "h", flow.After("w"), flow.Keys("key")),
	}}
	begin := func(eng *engine.Engine, id string) {
		t.Helper()
		if _, err := eng.Start(t.Context(), "visible-name", map[string]string{"in": "input-" + planted}, engine.WithID(id)); err != nil {
			t.Fatal(err)
		}
		if err := eng.Signal(t.Context(), id, "other", "signal-"+planted); err != nil {
			t.Fatal(err)
		}
	}
	end := func(eng *engine.Engine, id string) {
		t.Helper()
		if err := eng.Signal(t.Context(), id, "go", "signal-"+planted); err != nil {
			t.Fatal(err)
		}
		st, err := eng.Wait(t.Context(), id)
		if err != nil || st.State != "completed" || !strings.Contains(string(st.Output), planted) || !strings.Contains(string(st.Input), planted) {
			t.Fatalf("%s: %v %v", id, st, err)
		}
	}
	stop := func(eng *engine.Engine) {
		t.Helper()
		if err := eng.Close(); err != nil {
			t.Fatal(err)
		}
	}

	one := engine.Options{Codec: keysOf(t, "one")}
	eng := open(one)
	if err := eng.Register("visible-name", def); err != nil {
		t.Fatal(err)
	}
	begin(eng, "r1")
	begin(eng, "r2")
	end(eng, "r1")
	if logs, err := eng.Logs(t.Context(), "r1", "", engine.LogPlace{}, 1<<20); err != nil || len(logs) != 2 || !strings.Contains(fmt.Sprint(logs), planted) {
		t.Errorf("%v %v", logs, err)
	}
	o, err := eng.Object(t.Context(), "key")
	if err != nil || !strings.Contains(string(o.State), planted) {
		t.Errorf("%v %v", o, err)
	}
	stop(eng)
	clean()

	for what, o := range map[string]engine.Options{`"one", and no payload key was given`: {}, `the key "one"`: {Codec: keysOf(t, "two")}} {
		eng, err := engine.Open(path, o)
		if !errors.Is(err, engine.ErrKey) || !strings.Contains(err.Error(), what) {
			t.Errorf("with another key: %v", err)
		}
		if err == nil {
			stop(eng)
		}
	}
	other, err := seal.Parse([]byte("one " + base64.StdEncoding.EncodeToString(make([]byte, 32))))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Open(path, engine.Options{Codec: other}); !errors.Is(err, engine.ErrKey) || !strings.Contains(err.Error(), "is another one") {
		t.Errorf("with another key of that name: %v", err)
	}

	eng = open(engine.Options{Codec: keysOf(t, "one", "two")})
	end(eng, "r2")
	begin(eng, "r3")
	if st, err := eng.Status(t.Context(), "r1"); err != nil || !strings.Contains(string(st.Output), planted) {
		t.Errorf("%v %v", st, err)
	}
	stop(eng)
	clean()
	if _, err := engine.Open(path, engine.Options{Codec: keysOf(t, "two")}); !errors.Is(err, engine.ErrKey) || !strings.Contains(err.Error(), `"one"`) {
		t.Errorf("without the older key: %v", err)
	}
	if _, err := engine.Open(path, one); !errors.Is(err, engine.ErrKey) || !strings.Contains(err.Error(), `"two"`) {
		t.Errorf("without the newer key: %v", err)
	}
	eng = open(engine.Options{Codec: keysOf(t, "one", "two")})
	end(eng, "r3")
	stop(eng)
	clean()
}

// A journal that was open until now stays readable when a key comes; what is written from then on is sealed.
func TestAKeyComesLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs.db")
	def := flow.Definition{Steps: []flow.Step{flow.WaitSignal("w", "go")}}
	eng, err := engine.Open(path, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("w", def); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Start(t.Context(), "w", "before", engine.WithID("r")); err != nil {
		t.Fatal(err)
	}
	if err := eng.Close(); err != nil {
		t.Fatal(err)
	}
	if eng, err = engine.Open(path, engine.Options{Codec: keysOf(t, "one")}); err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if err := eng.Signal(t.Context(), "r", "go", "PLANTED"); err != nil {
		t.Fatal(err)
	}
	if st, err := eng.Wait(t.Context(), "r"); err != nil || string(st.Input) != `"before"` || !strings.Contains(string(st.Output), "PLANTED") {
		t.Errorf("%v %v", st, err)
	}
	if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, []byte("PLANTED")) || !bytes.Contains(b, []byte("before")) {
		t.Errorf("the wrong payloads are sealed: %v", err)
	}
}
