package nearest

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	known := []string{"name", "type", "service_name", "handler_name", "dependencies", "input_data", "max_attempts", "cron_expr", "time_zone"}
	for word, want := range map[string]string{
		"service_nam": "service_name", "serviceName": "service_name", "Service-Name": "service_name", "handler_nmae": "handler_name",
		"handler": "handler_name", "service": "service_name", "input": "input_data", "inputs": "", "attempts": "max_attempts",
		"cron": "cron_expr", "timezone": "time_zone", "dependancies": "dependencies", "dependency": "dependencies", "nmae": "name",
		"x": "", "": "", "_": "", "names": "name", "typ": "type", "quite_another": "", strings.Repeat("name", 100): "",
		"NAME": "name", "é": "", "data_input": "input_data",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if got := Word("wiat_signal", []string{"task", "wait_timer", "wait_signal"}); got != "wait_signal" {
		t.Errorf("wiat_signal: %q", got)
	}
	if got := Word("step12", []string{"step1", "step22", "stop"}); got != "" {
		t.Errorf("step12: %q", got)
	}
	if got := Did("cronn_expr", known); got != `; did you mean "cron_expr"?` {
		t.Errorf("Did: %s", got)
	}
	if got := Did("zzz", known); got != "" {
		t.Errorf("Did: %s", got)
	}
}
