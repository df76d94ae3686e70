package model

// Problem is an error as HTTP answers it: RFC 9457, with a stable code.
type Problem struct {
	Type   string `json:"type"`  // where the code is explained, relative to the server
	Title  string `json:"title"` // what the code means
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`         // what was wrong here
	Help   string `json:"help,omitempty"` // the way out
	// Errors is every problem of a definition that was refused.
	Errors []Fault `json:"errors,omitempty"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title + " (" + p.Code + ")"
	}
	return p.Detail + " (" + p.Code + ")"
}

// Fault is one thing that is wrong with a definition.
type Fault struct {
	Code   string `json:"code"`
	Step   string `json:"step,omitempty"`
	Detail string `json:"detail"`
	Line   int    `json:"line,omitempty"` // in the text that was sent, from 1; 0: no one place
	Column int    `json:"column,omitempty"`
}
