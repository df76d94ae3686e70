package model

// The codes of a Reason.
const (
	ReasonNewerRelease  = "newer_release"  // a newer release of agnt5d wrote the run, and only that moves it
	ReasonQuarantined   = "quarantined"    // its journal was found damaged
	ReasonDiskFull      = "disk_full"      // nothing is dispatched until there is space
	ReasonPaused        = "paused"         // somebody paused the run, or the daemon holds every run: until it is resumed no task of it is handed out, and no time of it comes
	ReasonServicePaused = "service_paused" // somebody paused the step's service: nobody gets a task of it until it is resumed
	ReasonNoWorker      = "no_worker"      // nobody serves the step's handler
	ReasonKeyHeld       = "key_held"       // another step holds one of its object keys, or wanted it earlier
	ReasonServiceFull   = "service_full"   // its service runs as many attempts as it may
	ReasonNoWorkflow    = "no_workflow"    // the workflow of its child is not registered
	ReasonUnknownSignal = "unknown_signal" // a signal was received for whose name no step waits
	ReasonSignal        = "signal"         // the step waits for a signal
	ReasonRetryAt       = "retry_at"       // an attempt failed, and the next one has its time
	ReasonQueued        = "queued"         // the workers that serve its handler are busy
	ReasonChild         = "child"          // the step waits for its child
	ReasonRepeat        = "repeat"         // a loop waits for its next round
	ReasonTimer         = "timer"          // the step waits for a time
	ReasonFinishing     = "finishing"      // the fate of the run is decided, and something is left to do
	ReasonRunning       = "running"        // a worker has the step
)

// ReasonCodes gives all of them, in the order in which they are told where there is place for one: first what somebody must do
// something about, then what takes its time, then what moves.
func ReasonCodes() []string {
	return []string{ReasonNewerRelease, ReasonQuarantined, ReasonDiskFull, ReasonPaused, ReasonServicePaused, ReasonNoWorker, ReasonNoWorkflow, ReasonKeyHeld, ReasonServiceFull, ReasonUnknownSignal,
		ReasonSignal, ReasonRetryAt, ReasonQueued, ReasonChild, ReasonRepeat, ReasonTimer, ReasonFinishing, ReasonRunning}
}
