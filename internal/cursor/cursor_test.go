package cursor

import "testing"

func TestACursorIsOfItsListAlone(t *testing.T) {
	lists := []string{Events, Runs, Ends, Objects, Spans, Logs}
	for _, in := range lists {
		c := To(in, "place/7")
		for _, of := range lists {
			want := ""
			if of == in {
				want = "place/7"
			}
			if got := From(of, c); got != want {
				t.Errorf("a cursor of %q in %q: %q", in, of, got)
			}
		}
	}
	for _, bad := range []string{"", "x", "!!!", To("", ""), "MQ"} {
		if got := From(Runs, bad); got != "" {
			t.Errorf("%q: %q", bad, got)
		}
	}
}
