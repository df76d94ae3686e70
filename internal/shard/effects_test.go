package shard

import (
	"reflect"
	"testing"
)

// Whoever adds a list to the effects must name it in merge, reset and empty: one that is forgotten is lost with a turn that has
// nothing to write.
func TestEveryEffectIsMergedAndReset(t *testing.T) {
	for i := range reflect.TypeFor[effects]().NumField() {
		name := reflect.TypeFor[effects]().Field(i).Name
		one := func() *effects {
			e := &effects{}
			list := reflect.ValueOf(e).Elem().Field(i)
			grown := reflect.MakeSlice(list.Type(), 1, 4)
			reflect.NewAt(list.Type(), list.Addr().UnsafePointer()).Elem().Set(grown)
			return e
		}
		length := func(e *effects) int { return reflect.ValueOf(e).Elem().Field(i).Len() }
		e := one()
		if e.empty() {
			t.Errorf("effects with one of %s are called empty", name)
		}
		if e.merge(one()); length(e) != 2 {
			t.Errorf("merge leaves out %s", name)
		}
		if e.reset(); length(e) != 0 || !e.empty() {
			t.Errorf("reset leaves %s", name)
		}
	}
}
