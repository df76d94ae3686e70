package flow

import (
	"fmt"
	"testing"
)

// What a number stands for is known from the definition alone.
func TestNumbersOfItems(t *testing.T) {
	g, err := NewGraph(&Definition{Steps: []Step{Task("a", "s", "h"), Task("b", "s", "h", ForEach("[1]"), MaxItems(5)), Task("c", "s", "h", ForEachOf([]int{1}))}})
	if err != nil {
		t.Fatal(err)
	}
	if g.Numbers() != 3+5+DefaultMaxItems {
		t.Errorf("%d numbers", g.Numbers())
	}
	for name, want := range map[string]int32{"a": 0, "c": 2, "b[0]": 3, "b[4]": 7, "c[0]": 8, "c[9999]": 10_007} {
		if i, ok := g.Instance(name); !ok || i != want || g.NameOf(i) != name {
			t.Errorf("%s is %d, %v; that is %s", name, i, ok, g.NameOf(i))
		}
	}
	for _, name := range []string{"", "d", "b[5]", "b[-1]", "b[+1]", "b[01]", "b[ 1]", "b[1", "b]", "a[0]", "[0]", "b[99999999999]"} {
		if i, ok := g.Instance(name); ok {
			t.Errorf("%q is %d", name, i)
		}
	}
	if g.NameOf(10_008) != "#10008" || g.ListOf(0) != -1 || g.ListOf(2) != 1 {
		t.Errorf("%s, lists %d and %d", g.NameOf(10_008), g.ListOf(0), g.ListOf(2))
	}
	many := &Definition{}
	for i := range 21_475 {
		many.Steps = append(many.Steps, Task(fmt.Sprint("s", i), "s", "h", ForEach("[1]"), MaxItems(MostItems)))
	}
	problems := Validate(many)
	if len(problems) != 1 || problems[0].Code != CodeTooLarge {
		t.Errorf("steps with room for more items than there are numbers: %v", problems)
	}
}
