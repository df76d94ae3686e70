package flow

import "errors"

// NonRetryable marks an error that no retry can mend: a handler that returns it fails its step for good, and no timer absorbs
// that. The text stays the error's own; nil stays nil.
func NonRetryable(err error) error {
	if err == nil {
		return nil
	}
	return &nonRetryable{err}
}

// IsNonRetryable says whether an error, or one that it wraps, is marked so.
func IsNonRetryable(err error) bool {
	var n *nonRetryable
	return errors.As(err, &n)
}

type nonRetryable struct{ err error }

func (e *nonRetryable) Error() string      { return e.err.Error() }
func (e *nonRetryable) Unwrap() error      { return e.err }
func (e *nonRetryable) NonRetryable() bool { return true }
