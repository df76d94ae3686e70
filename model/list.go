package model

import "time"

// ListFilter says which runs a list gives. Zero fields mean any.
type ListFilter struct {
	Workflow   string
	State      string // running, completed, failed, cancelled or quarantined; or several, with commas between
	IDPrefix   string
	Parent     string        // only children of the run with this id
	Children   bool          // children are listed, too; else only when Parent or IDPrefix asks for them
	Tags       []string      // name:value; a run has all of them
	Paused     *bool         // true: only open runs that are paused themselves; false: only those that are not
	Since      int64         // Unix ms, of the start
	Until      int64         // Unix ms, exclusive
	EndedSince int64         // Unix ms, of the end: only runs that have ended
	EndedUntil int64         // Unix ms, exclusive
	ErrorCode  string        // of the step by which a run failed
	Text       string        // in the message of that error, or in its step's name; case does not count. A list knows 300 bytes of a message
	StuckFor   time.Duration // open runs that nothing has moved for so long and nothing will by itself: no attempt runs, no clock is set
	Signals    bool          // with StuckFor: runs that only wait for signals are stuck, too
	ByEnd      bool          // the newest end first, only runs that have ended; else the newest start first
	Cursor     string        // where the page before said that the next begins
	Limit      int           // 0: 100
}
