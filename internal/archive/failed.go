package archive

import (
	"strings"
	"unicode/utf8"
)

// failedMost is how many bytes of an error's message a run's head keeps, for lists.
const failedMost = 300

// FailedText is why a run failed, as its head says it: "step: code", and the message on a line of its own. Releases that know of
// no message show the whole.
func FailedText(step, code, message string) string {
	text := step + ": " + code
	if message = strings.ToValidUTF8(message, "\uFFFD"); message == "" {
		return text
	}
	if len(message) > failedMost {
		message = message[:failedMost]
		for !utf8.ValidString(message) {
			message = message[:len(message)-1]
		}
	}
	return text + "\n" + message
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
