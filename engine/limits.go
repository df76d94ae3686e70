package engine

// Limits of what a request may say. Over them it is a *RequestError.
const (
	MaxReason         = maxReason   // bytes of a cancel's reason
	MaxPerSecond      = 1_000_000   // runs a second of ResumeAll; more is as fast as it goes
	MaxCapacity       = maxCapacity // open leases of a worker's session at once
	MaxHandlers       = maxHandlers // of a worker's session
	MaxServiceVersion = 256         // bytes
	MaxHost           = 255         // bytes
)
