package engine_test

import (
	"errors"
	"testing"

	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
)

// family starts a parent whose child starts a child, and gives the ids of all three.
func family(t *testing.T, eng *engine.Engine, id string) (ids [3]string) {
	t.Helper()
	register(t, eng, "leaf", flow.WaitSignal("wait", "go"))
	register(t, eng, "middle", flow.Child("down", "leaf"))
	register(t, eng, "root", flow.Child("down", "middle"))
	if _, err := eng.Start(t.Context(), "root", nil, engine.WithID(id)); err != nil {
		t.Fatal(err)
	}
	ids[0] = id
	for k := range 2 {
		until(t, func() bool {
			st, err := eng.Status(t.Context(), ids[k])
			if err != nil {
				t.Fatal(err)
			}
			ids[k+1] = st.Steps["down"].Child
			return ids[k+1] != ""
		}, func() string { return "no child of " + ids[k] })
	}
	return ids
}

// Who deletes a run deletes what its steps have started; a run with an open child, or an open parent, is not deleted.
func TestChildrenAreDeletedWithTheirParent(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	ids := family(t, eng, "p")
	if err := eng.Delete(t.Context(), ids[0]); !errors.Is(err, engine.ErrRunOpen) {
		t.Fatal(err)
	}
	if err := eng.Signal(t.Context(), ids[2], "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	if err := eng.Delete(t.Context(), ids[0]); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if _, err := eng.Status(t.Context(), id); !errors.Is(err, engine.ErrRunExpired) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A child that has ended stays while its parent is open.
func TestNobodyDeletesAChildOfAnOpenRun(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	register(t, eng, "leaf", flow.WaitSignal("wait", "go"))
	register(t, eng, "parent", flow.Child("down", "leaf"), flow.WaitSignal("hold", "on", flow.After("down")))
	if _, err := eng.Start(t.Context(), "parent", nil, engine.WithID("p")); err != nil {
		t.Fatal(err)
	}
	var child string
	until(t, func() bool {
		st, err := eng.Status(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		child = st.Steps["down"].Child
		return child != ""
	}, func() string { return "no child" })
	if err := eng.Signal(t.Context(), child, "go", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), child); err != nil {
		t.Fatal(err)
	}
	if err := eng.Delete(t.Context(), child); !errors.Is(err, engine.ErrRunOpen) {
		t.Errorf("%v", err)
	}
	if n, err := eng.DeleteMany(t.Context(), []string{child}, ""); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := eng.Signal(t.Context(), "p", "on", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := eng.Wait(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if n, err := eng.DeleteMany(t.Context(), []string{"p"}, ""); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := eng.Status(t.Context(), child); !errors.Is(err, engine.ErrRunExpired) {
		t.Errorf("%v", err)
	}
}

// Lists leave children out, unless somebody asks for them.
func TestListsOfChildren(t *testing.T) {
	eng, _ := open(t, engine.Options{})
	ids := family(t, eng, "p")
	for _, c := range []struct {
		f    engine.ListFilter
		want []string
	}{
		{engine.ListFilter{}, ids[:1]},
		{engine.ListFilter{Children: true}, []string{ids[2], ids[1], ids[0]}},
		{engine.ListFilter{Parent: ids[0]}, ids[1:2]},
		{engine.ListFilter{Parent: ids[1], State: "running"}, ids[2:]},
		{engine.ListFilter{Parent: ids[1], State: "failed"}, nil},
		{engine.ListFilter{IDPrefix: "p/"}, []string{ids[2], ids[1]}},
	} {
		page, err := eng.ListPage(t.Context(), c.f)
		var got []string
		for _, r := range page.Runs {
			got = append(got, r.WorkflowID)
			if len(r.Tags) > 0 {
				t.Errorf("%+v", r)
			}
		}
		if err != nil || len(got) != len(c.want) {
			t.Fatalf("%+v: %q, %v, want %q", c.f, got, err, c.want)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%+v: %q, want %q", c.f, got, c.want)
			}
		}
	}
}
