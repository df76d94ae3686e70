package archive

import (
	"slices"
	"testing"

	"github.com/agnt5/agnt5d/model"
	"github.com/agnt5/agnt5d/replay"
)

func TestTheMostUrgentReasonIsTheFirstOfTheirOrder(t *testing.T) {
	codes := model.ReasonCodes()
	for from := range codes {
		var all []model.Reason
		for _, code := range codes[from:] {
			all = append(all, model.Reason{Code: code})
		}
		slices.Reverse(all)
		if got := MostUrgent(all); got.Code != codes[from] {
			t.Errorf("of %v: %s", all, got.Code)
		}
	}
}

func TestWhatAStepWaitsForIsAKnownReason(t *testing.T) {
	for _, k := range replay.Kinds {
		if k.Reason != "" && !slices.Contains(model.ReasonCodes(), k.Reason) {
			t.Errorf("steps of type %q wait for the reason %q, which model.ReasonCodes does not have", k.Type, k.Reason)
		}
	}
}
