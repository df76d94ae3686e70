package archive

import (
	"slices"
	"strings"

	"github.com/agnt5/agnt5d/model"
)

var urgent = model.ReasonCodes()

// MostUrgent gives one of several reasons, nil when there is none. A code that is not known comes first.
func MostUrgent(all []model.Reason) *model.Reason {
	if len(all) == 0 {
		return nil
	}
	first := slices.MinFunc(all, func(a, b model.Reason) int { return slices.Index(urgent, a.Code) - slices.Index(urgent, b.Code) })
	return &first
}

// FailedBy is the reason of a failed run of a list: its step, its code, the first bytes of its message.
func FailedBy(head *model.RunHead) *model.Reason {
	where, code, _ := ReadFailed(head.Error)
	step, of := strings.CutSuffix(where, ": "+code)
	if !of { // no step failed
		step = ""
	}
	return &model.Reason{Step: step, Code: code, Detail: head.ErrorMessage}
}
