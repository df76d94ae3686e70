package archive

import (
	"strings"
	"unicode/utf8"

	"github.com/agnt5/agnt5d/journal"
	"github.com/agnt5/agnt5d/replay"
)

// failedMost is how many bytes of an error's message, or of the reason of a cancel, a run's head keeps, for lists.
const failedMost = 300

// FailedText is why a run failed, as its head says it: "step: code", and the message on a line of its own. Releases that know of
// no message show the whole.
func FailedText(step, code, message string) string {
	text := code
	if step != "" {
		text = step + ": " + code
	}
	if message = clipped(message); message == "" {
		return text
	}
	return text + "\n" + message
}

// CancelledText is why a run was cancelled, as its head says it: a failure without a step and a code. Heads of older releases have none.
func CancelledText(reason string) string {
	if reason = clipped(reason); reason == "" {
		return ""
	}
	return "\n" + reason
}

// clipped is the beginning of a text, for a head.
func clipped(text string) string {
	if text = strings.ToValidUTF8(text, "\uFFFD"); len(text) <= failedMost {
		return text
	}
	text = text[:failedMost]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}

// ReadFailed takes a FailedText apart. A head of an older release has no message.
func ReadFailed(text string) (stepAndCode, code, message string) {
	stepAndCode, message, _ = strings.Cut(text, "\n")
	code = stepAndCode
	if i := strings.LastIndex(stepAndCode, ": "); i >= 0 {
		code = stepAndCode[i+2:]
	}
	return stepAndCode, code, message
}

// HeadOf gives the head of a run in a state.
func HeadOf(s *replay.State) journal.Head {
	h := journal.Head{Run: s.Run, ID: s.ID, Workflow: s.Workflow, Version: s.Version, State: uint8(s.Status), LastSeq: s.LastSeq,
		Events: s.Events, CreatedAt: s.CreatedAt, EndedAt: s.EndedAt, Skipped: s.Skipped, Tags: tagTexts(s.Tags, s.Parent, s.Pause != nil)}
	if s.Status.Ended() && s.Unwanted() == 0 { // it is taken once its last child has ended: to take it with each would cost the more the more there are
		h.Digest = s.Digest()
	}
	switch s.Status {
	case replay.Failed:
		step, why := s.Why()
		h.Failed = FailedText(step, why.Code, why.Message)
	case replay.Cancelled:
		h.Failed = CancelledText(s.Reason)
	}
	return h
}
