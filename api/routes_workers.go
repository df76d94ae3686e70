package api

import (
	"github.com/agnt5/agnt5d/engine"
	"github.com/agnt5/agnt5d/flow"
	"github.com/agnt5/agnt5d/internal/wire"
	"github.com/agnt5/agnt5d/push"
)

// The routes of objects, workers and push services.
var workersRoutes = []route{
	{
		Method:  "GET",
		Path:    "/v1/objects",
		ID:      "listObjects",
		Scope:   scopeRead,
		Tag:     "objects",
		Summary: "List object keys that have state or that a step holds or waits for, by key",
		Query:   append([]param{{"prefix", "string", "only keys with this prefix"}}, paging...),
		Answers: []answer{
			{200, objectList{}, ""},
		},
		handle: (*Server).listObjects,
	},
	{
		Method:  "GET",
		Path:    "/v1/objects/{key}",
		ID:      "getObject",
		Scope:   scopeRead,
		Tag:     "objects",
		Summary: "One object key: state, version, fence, holder, queue",
		Answers: []answer{
			{200, engine.Object{}, ""},
		},
		Codes:  []string{"object_not_found"},
		handle: (*Server).getObject,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/objects/{key}",
		ID:      "deleteObject",
		Scope:   scopeAdmin,
		Tag:     "objects",
		Summary: "Remove the state of an object that no step holds",
		Answers: []answer{
			{204, nil, "gone"},
		},
		Codes:  []string{"object_held", "disk_full"},
		handle: (*Server).deleteObject,
	},
	{
		Method:  "GET",
		Path:    "/v1/workers",
		ID:      "listWorkers",
		Scope:   scopeRead,
		Tag:     "workers",
		Summary: "Who works, and on what",
		Answers: []answer{
			{200, workerList{}, ""},
		},
		handle: (*Server).listWorkers,
	},
	{
		Method:  "POST",
		Path:    "/v1/workers",
		ID:      "joinWorker",
		Scope:   scopeWorker,
		Tag:     "workers",
		Summary: "Open a worker's session, or come back to it",
		Body:    wire.Register{},
		Limit:   flow.MaxBytes + maxEnvelope,
		Types:   []string{wire.Msgpack},
		Answers: []answer{
			{201, wire.Registered{}, ""},
		},
		Codes:  []string{"invalid_definition", "disk_full", "shutting_down"},
		handle: (*Server).joinWorker,
	},
	{
		Method:   "POST",
		Path:     "/v1/workers/{id}/poll",
		ID:       "pollWorker",
		Scope:    scopeWorker,
		Tag:      "workers",
		Summary:  "Report what is done and take what is next",
		Body:     wire.Poll{},
		Limit:    minPollBody,
		Outcomes: true,
		Types:    []string{wire.Msgpack},
		Answers: []answer{
			{200, wire.Polled{}, ""},
			{204, nil, "there is nothing"},
		},
		Codes:  []string{"worker_not_found", "disk_full", "shutting_down"},
		before: (*Server).known,
		handle: (*Server).pollWorker,
	},
	{
		Method:   "POST",
		Path:     "/v1/workers/{id}/heartbeat",
		ID:       "heartbeat",
		Scope:    scopeWorker,
		Tag:      "workers",
		Summary:  "Renew leases",
		Body:     wire.Heartbeat{},
		Limit:    minPollBody,
		Outcomes: true,
		Types:    []string{wire.Msgpack},
		Answers: []answer{
			{200, wire.Beaten{}, ""},
		},
		Codes:  []string{"worker_not_found"},
		before: (*Server).known,
		handle: (*Server).heartbeat,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/workers/{id}",
		ID:      "leaveWorker",
		Scope:   scopeWorker,
		Tag:     "workers",
		Summary: "Leave: open tasks are offered to others at once",
		Answers: []answer{
			{204, nil, "left"},
		},
		Codes:  []string{"worker_not_found"},
		handle: (*Server).leaveWorker,
	},
	{
		Method:  "GET",
		Path:    "/v1/services",
		ID:      "listServices",
		Scope:   scopeRead,
		Tag:     "services",
		Summary: "List push services",
		Answers: []answer{
			{200, serviceList{}, ""},
		},
		handle: (*Server).listServices,
	},
	{
		Method:  "PUT",
		Path:    "/v1/services/{name}",
		ID:      "putService",
		Scope:   scopeAdmin,
		Tag:     "services",
		Summary: "Set up a push service: tasks are POSTed to it",
		Body:    serviceBody{},
		Limit:   maxEnvelope,
		Answers: []answer{
			{201, push.Service{}, "new; the secret is shown this once"},
			{200, push.Service{}, "changed"},
		},
		Codes:  []string{"disk_full"},
		handle: (*Server).putService,
	},
	{
		Method:  "GET",
		Path:    "/v1/services/{name}",
		ID:      "getService",
		Scope:   scopeRead,
		Tag:     "services",
		Summary: "One push service",
		Answers: []answer{
			{200, push.Service{}, ""},
		},
		Codes:  []string{"service_not_found"},
		handle: (*Server).getService,
	},
	{
		Method:  "DELETE",
		Path:    "/v1/services/{name}",
		ID:      "deleteService",
		Scope:   scopeAdmin,
		Tag:     "services",
		Summary: "Remove a push service",
		Answers: []answer{
			{204, nil, "gone"},
		},
		Codes:  []string{"service_not_found", "disk_full"},
		handle: (*Server).deleteService,
	},
}
